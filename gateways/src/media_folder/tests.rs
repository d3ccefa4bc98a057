//! The store over a local folder and over memory: what comes back, what is refused, what goes.

use object_store::memory::InMemory;
use uuid::Uuid;

use super::*;

fn key(index: u32) -> MediaKey {
    let (account, generation) = (AccountId(Uuid::from_u128(0xa11ce)), GenerationId(Uuid::from_u128(7)));
    MediaKey { account, generation, attempt: 1, index, extension: "png".to_owned() }
}

fn at(path: &str) -> MediaObject {
    MediaObject::Output(path.to_owned())
}

fn folder() -> (tempfile::TempDir, MediaFolder) {
    let temp = tempfile::tempdir().unwrap();
    let media = MediaFolder::open(&temp.path().join("deep/media")).unwrap();
    (temp, media)
}

#[tokio::test]
async fn an_object_comes_back_and_a_repeat_is_harmless() {
    let (_temp, local) = folder();
    for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
        let path = key(0).path();
        assert_eq!(media.get(&at(&path)).await.unwrap(), None);
        for _ in 0..2 {
            media.put(&key(0), Bytes::from_static(b"pixels")).await.unwrap();
            assert_eq!(media.get(&at(&path)).await.unwrap(), Some(Bytes::from_static(b"pixels")));
        }
        assert_eq!(media.get(&at(&key(1).path())).await.unwrap(), None);
    }
}

#[tokio::test]
async fn only_a_keys_own_path_is_looked_up() {
    let (temp, media) = folder();
    media.put(&key(0), Bytes::from_static(b"pixels")).await.unwrap();
    std::fs::write(temp.path().join("secret.png"), b"secret").unwrap();
    let good = key(0).path();
    assert!(media.get(&at(&good)).await.unwrap().is_some());
    let (account, generation) = (key(0).account.to_string(), key(0).generation.to_string());
    let simple = key(0).account.0.simple().to_string();
    let refused = [
        String::new(),
        "/".to_owned(),
        format!("/{good}"),
        format!("{good}/"),
        format!("./{good}"),
        format!("{good}/../0.png"),
        format!("{account}/{generation}/1"),
        format!("{account}/{generation}/1/"),
        format!("{account}/{generation}/1/.png"),
        format!("{account}/{generation}/0/0.png"),
        format!("{account}/{generation}/01/0.png"),
        format!("{account}/{generation}/+1/0.png"),
        format!("{account}/{generation}/1/00.png"),
        format!("{account}/{generation}/1/0.PNG"),
        format!("{account}/{generation}/1/0.png.png"),
        format!("{account}/{generation}/1/0.svg"),
        format!("{account}/{generation}/1/0.png#1"),
        format!("{account}/{generation}/1/0.png\0"),
        format!("{account}/{generation}/1/0.png?x"),
        format!("{account}/{generation}/1//0.png"),
        format!("{account}/{generation}/1/4294967296.png"),
        format!("{account}\\{generation}\\1\\0.png"),
        format!("{{{account}}}/{generation}/1/0.png"),
        format!("urn:uuid:{account}/{generation}/1/0.png"),
        format!("{simple}/{generation}/1/0.png"),
        good.replace("a11ce", "A11CE"),
        good.replace('/', "%2F"),
        good.replace('/', "%2f").replace('.', "%2e"),
        format!("{account}/%2e%2e/1/0.png"),
        "../secret.png".to_owned(),
        "../../secret.png".to_owned(),
        format!("{account}/../../../secret.png"),
        temp.path().join("secret.png").display().to_string(),
    ];
    for path in refused {
        assert_eq!(media.get(&at(&path)).await.unwrap(), None, "{path:?}");
    }
}

#[tokio::test]
async fn a_key_whose_extension_is_not_plain_is_not_stored() {
    let (temp, media) = folder();
    for extension in ["", "PNG", "png; charset=x", "png/../../x", "../png", "p.ng", "png#1", "png\0", "morethan8"] {
        let bad = MediaKey { extension: extension.to_owned(), ..key(0) };
        assert!(media.put(&bad, Bytes::from_static(b"x")).await.is_err(), "{extension}");
    }
    assert_eq!(std::fs::read_dir(temp.path().join("deep/media")).unwrap().count(), 0);
}

#[tokio::test]
async fn deleting_a_generation_removes_all_of_it_and_only_it_and_again_is_harmless() {
    let (temp, local) = folder();
    for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
        let other = MediaKey { generation: GenerationId(Uuid::from_u128(8)), ..key(0) };
        let retried = MediaKey { attempt: 2, ..key(0) };
        for key in [&key(0), &key(1), &retried, &other] {
            media.put(key, Bytes::from_static(b"x")).await.unwrap();
        }
        for _ in 0..2 {
            media.delete_generation(key(0).account, key(0).generation).await.unwrap();
            for gone in [&key(0), &key(1), &retried] {
                assert_eq!(media.get(&at(&gone.path())).await.unwrap(), None);
            }
            assert!(media.get(&at(&other.path())).await.unwrap().is_some());
        }
    }
    let account = temp.path().join("deep/media").join(key(0).account.to_string());
    assert_eq!(std::fs::read_dir(account).unwrap().count(), 1, "no empty folder is left of it");
}

#[tokio::test]
async fn an_avatar_comes_back_and_goes_alone_and_an_account_goes_with_all_it_has() {
    let (temp, local) = folder();
    for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
        let account = key(0).account;
        let square = |avatar, edge| AvatarKey { account, avatar: AvatarId(Uuid::from_u128(avatar)), edge };
        let stranger = MediaKey { account: AccountId(Uuid::from_u128(0xb0b)), ..key(0) };
        for key in [square(1, 64), square(1, 512), square(2, 64)] {
            media.put_avatar(key, Bytes::from_static(b"face")).await.unwrap();
            // An avatar is no output: the links of outputs never reach it.
            assert_eq!(media.get(&at(&key.path())).await.unwrap(), None);
        }
        for key in [&key(0), &stranger] {
            media.put(key, Bytes::from_static(b"x")).await.unwrap();
        }
        for _ in 0..2 {
            media.delete_avatar(account, square(1, 64).avatar).await.unwrap();
            assert_eq!(media.get(&MediaObject::Avatar(square(1, 64))).await.unwrap(), None);
            assert_eq!(media.get(&MediaObject::Avatar(square(1, 512))).await.unwrap(), None);
            assert_eq!(
                media.get(&MediaObject::Avatar(square(2, 64))).await.unwrap(),
                Some(Bytes::from_static(b"face"))
            );
        }
        for _ in 0..2 {
            media.delete_account(account).await.unwrap();
            assert_eq!(media.get(&MediaObject::Avatar(square(2, 64))).await.unwrap(), None);
            assert_eq!(media.get(&at(&key(0).path())).await.unwrap(), None);
            assert!(media.get(&at(&stranger.path())).await.unwrap().is_some());
        }
    }
    assert!(!temp.path().join("deep/media").join(key(0).account.to_string()).exists());
}

#[tokio::test]
async fn deleting_a_generation_also_removes_a_killed_writes_staged_file() {
    let (temp, media) = folder();
    let path = temp.path().join("deep/media").join(key(0).path());
    let job = path.parent().unwrap().parent().unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path.with_file_name("0.png#1"), b"half").unwrap();
    media.delete_generation(key(0).account, key(0).generation).await.unwrap();
    assert!(!job.exists());
}

#[tokio::test]
async fn many_deletions_at_once_all_succeed() {
    let (_temp, media) = folder();
    for index in 0..40 {
        media.put(&key(index), Bytes::from_static(b"x")).await.unwrap();
    }
    let all = futures::future::join_all((0..4).map(|_| {
        let media = media.clone();
        tokio::spawn(async move { media.delete_generation(key(0).account, key(0).generation).await })
    }));
    for outcome in all.await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(media.get(&at(&key(0).path())).await.unwrap(), None);
}

#[tokio::test]
async fn more_objects_than_the_bound_take_several_tries() {
    let media = MediaFolder::over(Arc::new(InMemory::new()));
    for index in 0..=MAX_DELETED as u32 {
        media.put(&key(index), Bytes::new()).await.unwrap();
    }
    assert!(media.delete_generation(key(0).account, key(0).generation).await.is_err());
    media.delete_generation(key(0).account, key(0).generation).await.unwrap();
    assert_eq!(media.get(&at(&key(MAX_DELETED as u32).path())).await.unwrap(), None);
}

#[tokio::test]
async fn a37_an_account_goes_whole_however_many_objects_it_has() {
    let (_temp, local) = folder();
    for media in [local, MediaFolder::over(Arc::new(InMemory::new()))] {
        let mut other = key(0);
        other.account = AccountId(Uuid::from_u128(0xb0b));
        media.put(&other, Bytes::from_static(b"another's")).await.unwrap();
        for index in 0..=2 * MAX_DELETED as u32 {
            media.put(&key(index), Bytes::from_static(b"p")).await.unwrap();
        }
        media.delete_account(key(0).account).await.unwrap();
        for index in [0, MAX_DELETED as u32, 2 * MAX_DELETED as u32] {
            assert_eq!(media.get(&at(&key(index).path())).await.unwrap(), None, "{index}");
        }
        assert!(media.get(&at(&other.path())).await.unwrap().is_some(), "nobody else's");
    }
}

#[tokio::test]
async fn c2_a_range_is_read_in_pieces_and_an_object_that_became_shorter_ends_with_an_error() {
    let (temp, local) = folder();
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect();
    for media in [local.clone(), MediaFolder::over(Arc::new(InMemory::new()))] {
        media.put(&key(0), bytes.clone().into()).await.unwrap();
        let object = at(&key(0).path());
        assert_eq!(media.find(&object).await.unwrap().unwrap().bytes, 100_000);
        for range in [0..1, 0..100_000, 8_191..8_193, 99_999..100_000, 5..5] {
            let pieces = media.read(&object, range.clone()).await.unwrap().unwrap();
            let read = pieces.try_collect::<Vec<Bytes>>().await.unwrap().concat();
            assert_eq!(read, bytes[range.start as usize..range.end as usize], "{range:?}");
        }
        for nothing in [0..1, 0..0] {
            assert!(media.read(&at(&key(1).path()), nothing).await.unwrap().is_none());
        }
    }
    let pieces = local.read(&at(&key(0).path()), 0..100_000).await.unwrap().unwrap();
    let file = std::fs::File::options().write(true).open(temp.path().join("deep/media").join(key(0).path())).unwrap();
    file.set_len(20_000).unwrap();
    assert!(pieces.try_collect::<Vec<Bytes>>().await.is_err());
}
