//! A disk that is really full, in bytes or in files: readiness and `doctor` say so, nothing that was not kept is acknowledged, and all is
//! well again once there is room. The disks are small ones in memory, which only root can mount; elsewhere there is nothing to see here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::process::{Home, Served, until};
use crate::harness::visitor::Visitor;

/// A disk of its own at a folder, until dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one; none where that is not allowed.
    fn mounted(folder: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(folder).expect("our own folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("skipped: no disk can be mounted here");
        None
    }

    /// A file that takes all that is left but so many MiB.
    fn fill(&self, but: u64) -> PathBuf {
        let file = self.0.join("ballast");
        let room = atelier_server::disk::Room::at(&self.0).expect("a disk").free;
        let bytes = usize::try_from(room.saturating_sub(but << 20)).expect("a small disk");
        // Until it is full, when all of it is to go.
        let written = fs::write(&file, vec![7; bytes + usize::from(but == 0) * 4_096]);
        assert_eq!(written.is_err(), but == 0, "the ballast");
        file
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At once for whoever looks, and in fact when the last file there is closed.
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
        // What was mounted on, and the folder of a home that could not be removed because of it.
        fs::remove_dir_all(&self.0).ok();
        self.0.parent().map(fs::remove_dir);
    }
}

/// The status and the full disks, as the node tells them.
async fn told(visitor: &Visitor) -> (u16, Value, Value) {
    let ready = visitor.get("/health/ready", None).await;
    let told = ready.json();
    (ready.status.as_u16(), told["status"].clone(), told["full_disks"].clone())
}

/// The lines in which `doctor` says that something is wrong.
async fn wrong(home: &Home) -> Vec<String> {
    let said = home.run(&["doctor"]).await.said;
    said.lines().filter(|line| line.starts_with("WRONG")).map(str::to_owned).collect()
}

async fn is_ready(served: &mut Served, visitor: &Visitor) {
    until("the node to be ready", async || {
        served.still_runs();
        (told(visitor).await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_a_disk_that_is_full_shows_in_readiness_and_in_doctor_until_there_is_room() {
    let home = Home::open().await;
    let media = home.data().join("media");
    for (options, word) in
        [("size=96m,mode=0700", "it is full"), ("size=900m,nr_inodes=300,mode=0700", "more files can be made")]
    {
        let Some(disk) = SmallDisk::mounted(&media, options) else { return };
        let mut served = home.serve(&[]);
        let visitor = served.listening().await;
        is_ready(&mut served, &visitor).await;
        let full_already = wrong(&home).await;
        assert!(full_already.iter().all(|line| !line.contains(word)), "{full_already:?}");
        let ballast: Vec<PathBuf> = if options.contains("nr_inodes") {
            let made = (0..120).map(|number| media.join(format!("ballast-{number}")));
            made.inspect(|file| fs::write(file, "").expect("a file")).collect()
        } else {
            vec![disk.fill(40)]
        };
        assert_eq!(told(&visitor).await, (503, json!("disk full"), json!(["media"])), "{options}");
        let found = wrong(&home).await;
        assert!(found.iter().any(|line| line.contains("disk") && line.contains(word)), "{options}: {found:?}");
        assert!(found.iter().any(|line| line.contains(&media.display().to_string())), "the folder is named: {found:?}");
        // By a smaller reserve it is not full, for both of them.
        if !options.contains("nr_inodes") {
            let few = home.start(&["doctor"], &[("ATELIER_DISK_RESERVE".to_owned(), "8".to_owned())]).ended().await;
            assert!(!few.said.contains(word), "{}", few.said);
        }
        for file in ballast {
            fs::remove_file(file).expect("our own file");
        }
        is_ready(&mut served, &visitor).await;
        assert_eq!(served.stop("TERM").await.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g11_with_no_byte_left_nothing_is_acknowledged_that_is_not_kept_and_with_room_it_goes_on() {
    let home = Home::open().await;
    let Some(disk) = SmallDisk::mounted(&home.data(), "size=300m,mode=0755") else { return };
    // Its processes end before their disk does.
    let home = home;
    let mut served = home.serve(&[]);
    let visitor = served.listening().await;
    is_ready(&mut served, &visitor).await;
    let ballast = disk.fill(0);
    assert_eq!(told(&visitor).await.1, json!("disk full"));
    let sign_up = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code } } }";
    let mut acknowledged = Vec::new();
    for number in 0..40 {
        let name = format!("ada{number}");
        let input = json!({
            "email": format!("{name}@example.com"), "password": "correct-horse-1", "username": name, "minimumAge": 18
        });
        let body = json!({ "query": sign_up, "variables": { "input": input } });
        let Ok(answer) = visitor.request("POST", "/graphql").json(&body).send().await else { break };
        let (status, told) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default());
        assert!([200, 503].contains(&status), "{status} {told}");
        if told["data"]["signUp"]["userErrors"] == json!([]) {
            acknowledged.push(name);
        }
    }
    fs::remove_file(ballast).expect("our own file");
    // PostgreSQL may have ended itself for want of room, and its node with it: then it is started again, as an operator would.
    let recovered = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while !matches!(visitor.request("GET", "/health/ready").send().await, Ok(ready) if ready.status() == 200) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let mut visitor = visitor.clone();
    if recovered.await.is_err() {
        served.kill();
        served = home.serve(&[]);
        visitor = served.listening().await;
        is_ready(&mut served, &visitor).await;
        eprintln!("the node was started again");
    }
    for name in acknowledged {
        let named = "query($name: String!) { usernameAvailability(username: $name) { available } }";
        let told = visitor.graphql(None, named, json!({ "name": name })).await;
        assert_eq!(told["available"], json!(false), "{name} was acknowledged, and is not there");
    }
    let input =
        json!({ "email": "bob@example.com", "password": "correct-horse-1", "username": "bob", "minimumAge": 18 });
    visitor.graphql(None, sign_up, json!({ "input": input })).await;
    assert_eq!(served.stop("TERM").await.code, Some(0));
}
