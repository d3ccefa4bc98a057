"""Three PostgreSQL nodes under Patroni, with etcd and HAProxy, on this machine; two atelier nodes over them; and what is lost when leaders
die. `cluster.py up` runs the database until it is interrupted, `cluster.py drill` strikes it and prints a table."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg2

HERE = Path(__file__).resolve().parent
PORT = int(os.environ.get("HA_PORT", "17400"))
KILLS = int(os.environ.get("HA_KILLS", "10"))
FREEZES = int(os.environ.get("HA_FREEZES", "3"))
NODES = ["one", "two", "three"]
CLIENTS = 4
# Orders for each strike, and how many are acknowledged before it: the demo account's 50,000 credits are 500 orders.
ORDERS, BEFORE = 36, 12
# Seconds.
PATIENCE = 180
FROZEN = 5


def port(what, number=0):
    """A port of this machine for each purpose: ten for each kind, from HA_PORT on."""
    kinds = ["etcd", "peer", "postgres", "rest", "haproxy", "atelier"]
    return PORT + 10 * kinds.index(what) + number


def wait(what, look, patience=PATIENCE):
    """Looks until there is something to see."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            seen = look()
            if seen:
                return seen
        except (OSError, psycopg2.Error, json.JSONDecodeError, subprocess.SubprocessError):
            pass
        time.sleep(0.2)
    raise SystemExit(f"waited {patience} s in vain for {what}")


def get(url):
    with urllib.request.urlopen(url, timeout=3) as answer:
        return json.load(answer)


def descendants(pid):
    """A process and everything it started, itself or not directly."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found, wanted = [], [pid]
    while wanted:
        one = wanted.pop()
        found.append(one)
        wanted += [child for child, parent in pairs if parent == one]
    return found


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Cluster:
    """etcd, Patroni with PostgreSQL, and HAProxy. They end with this process's orderly end, by `down`."""

    def __init__(self, tools):
        self.tools = tools
        self.folder = Path(tempfile.mkdtemp(prefix="atelier-ha-"))
        self.folder.chmod(0o755)
        # PostgreSQL does not run as root.
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.running = {}

    def start(self, name, arguments, environment=None):
        log = open(self.folder / f"{name}.log", "ab")
        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        libraries = ":".join(str(path) for path in (self.tools / "root/usr/lib").glob("*-linux-gnu"))
        variables = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LD_LIBRARY_PATH": libraries, "PYTHONUNBUFFERED": "1"}
        if name.startswith(("patroni", "atelier")):
            del variables["LD_LIBRARY_PATH"]
        variables.update(environment or {})
        self.running[name] = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=variables, start_new_session=True, **who
        )

    def own(self, path):
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def fill_in(self, template, name, values):
        text = (HERE / template).read_text()
        for key, value in values.items():
            text = text.replace("{" + key + "}", str(value))
        path = self.folder / name
        path.write_text(text)
        return path

    def up(self):
        self.own(self.folder)
        peers = ",".join(f"{name}=http://127.0.0.1:{port('peer', n)}" for n, name in enumerate(NODES))
        for n, name in enumerate(NODES):
            client, peer = f"http://127.0.0.1:{port('etcd', n)}", f"http://127.0.0.1:{port('peer', n)}"
            self.start(f"etcd-{name}", [
                self.tools / "root/usr/bin/etcd", "--name", name, "--data-dir", self.folder / f"etcd-{name}",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", peers, "--initial-cluster-state", "new",
            ])
        wait("etcd", lambda: get(f"http://127.0.0.1:{port('etcd')}/health")["health"] == "true")
        binaries = os.environ.get("HA_POSTGRES") or subprocess.run(
            ["pg_config", "--bindir"], capture_output=True, text=True, check=False).stdout.strip() or newest_postgres()
        for n, name in enumerate(NODES):
            sockets = self.own_folder(f"sockets-{name}")
            self.fill_in("patroni.yml", f"patroni-{name}.yml", {
                "name": name, "rest_port": port("rest", n), "pg_port": port("postgres", n), "sockets": sockets, "bin": binaries,
                "etcd_hosts": ",".join(f"127.0.0.1:{port('etcd', m)}" for m in range(len(NODES))), "data": self.folder / f"data-{name}",
            })
            self.patroni(name)
        servers = [f"    server {name} 127.0.0.1:{port('postgres', n)} check port {port('rest', n)}" for n, name in enumerate(NODES)]
        config = self.fill_in("haproxy.cfg", "haproxy.cfg", {"port": port("haproxy"), "servers": "\n".join(servers)})
        self.start("haproxy", [self.tools / "root/usr/sbin/haproxy", "-db", "-f", config])
        self.whole()
        with self.connect("postgres", "postgres") as database:
            for statement in ["create role atelier_owner login", "create role atelier_app login"]:
                database.execute(statement)
            database.execute("create database atelier owner atelier_owner")

    def own_folder(self, name):
        path = self.folder / name
        path.mkdir(mode=0o700)
        return self.own(path)

    def patroni(self, name):
        self.start(f"patroni-{name}", [self.tools / "python/bin/patroni", self.folder / f"patroni-{name}.yml"])

    def members(self):
        for n in range(len(NODES)):
            try:
                return get(f"http://127.0.0.1:{port('rest', n)}/cluster")["members"]
            except OSError:
                continue
        return []

    def whole(self):
        """Waits until there is a leader, two standbys follow it, and one of them is the synchronous one: the leader's name."""

        def look():
            members = self.members()
            leaders = [member["name"] for member in members if member["role"] == "leader" and member["state"] == "running"]
            following = [member for member in members if member["state"] == "streaming"]
            synchronous = [member for member in members if member["role"] in ("sync_standby", "quorum_standby")]
            if len(leaders) == 1 and len(following) == 2 and synchronous:
                with self.connect("postgres", "postgres") as database:
                    database.execute("select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum')")
                    return database.fetchone()[0] >= 1 and leaders[0]
            return None

        return wait("a leader with two standbys, one of them synchronous", look)

    def connect(self, role, database):
        return Session(f"host=127.0.0.1 port={port('haproxy')} user={role} dbname={database} connect_timeout=3")

    def kill(self, name):
        """Kills a node whole: Patroni and all of PostgreSQL."""
        process = self.running.pop(f"patroni-{name}")
        pids = descendants(process.pid)
        # Frozen first, so that nothing is started that is not in the list. PostgreSQL stands beside Patroni when Patroni was restarted.
        send(pids, signal.SIGSTOP)
        pids += [pid for pid in descendants(self.postmaster(name)) if pid not in pids] if self.postmaster(name) else []
        send(pids, signal.SIGKILL)
        process.wait()

    def postmaster(self, name):
        try:
            return int((self.folder / f"data-{name}/postmaster.pid").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return None

    def receivers(self, name):
        """The processes by which a standby follows."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        return [int(pid) for pid, parent, what in rows if int(parent) == self.postmaster(name) and "walreceiver" in what]

    def down(self):
        for name in sorted(self.running, key=lambda name: name.startswith("etcd")):
            pids = descendants(self.running[name].pid)
            send(pids, signal.SIGCONT)
            send(pids, signal.SIGKILL)
        for name in NODES:
            if self.postmaster(name):
                send(descendants(self.postmaster(name)), signal.SIGKILL)
        for process in self.running.values():
            process.wait()
        if os.environ.get("HA_KEEP"):
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Session:
    """One connection for as long as a `with` block; every statement is its own transaction."""

    def __init__(self, where):
        self.where = where

    def __enter__(self):
        self.connection = psycopg2.connect(self.where)
        self.connection.autocommit = True
        return self.connection.cursor()

    def __exit__(self, *_):
        self.connection.close()


def newest_postgres():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not found:
        raise SystemExit("PostgreSQL's programs were not found: `make postgres` installs them, HA_POSTGRES names their folder")
    return found[-1].parent


class Load:
    """Clients that order pictures through both nodes, and remember what was acknowledged, and when."""

    def __init__(self, urls, key):
        self.urls, self.key = urls, key
        self.lock, self.enough = threading.Lock(), threading.Event()
        self.acknowledged, self.unanswered, self.failed, self.orders = [], 0, None, 0
        self.threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        order = 0
        while not self.enough.is_set() and not self.failed:
            if not self.take():
                time.sleep(0.05)
                continue
            order += 1
            self.insist(self.urls[number % len(self.urls)], f"client-{number}-order-{order}")
            time.sleep(0.2)

    def take(self):
        with self.lock:
            there = self.orders > 0
            self.orders -= there
            return there

    def give(self, orders):
        """So many more orders may be made."""
        with self.lock:
            self.orders += orders

    def insist(self, url, key):
        body = json.dumps({"prompt": key, "model": "z-image-turbo", "width": 64, "height": 64}).encode()
        headers = {"authorization": f"Bearer {self.key}", "idempotency-key": key, "content-type": "application/json"}
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                request = urllib.request.Request(f"{url}/v1/generations", body, headers)
                with urllib.request.urlopen(request, timeout=20) as answer:
                    job = json.load(answer)["request_id"]
                with self.lock:
                    self.acknowledged.append((time.monotonic(), job))
                return
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    self.failed = f"{key}: {error.code} {error.read()[:300]}"
                    return
            except (OSError, json.JSONDecodeError):
                pass
            with self.lock:
                self.unanswered += 1
            time.sleep(0.05)
        self.failed = f"{key} was not answered for {PATIENCE} s"

    def count(self):
        if self.failed:
            raise SystemExit(self.failed)
        with self.lock:
            return len(self.acknowledged)

    def since(self, start):
        with self.lock:
            return self.acknowledged[start:]

    def stop(self):
        self.enough.set()
        for thread in self.threads:
            thread.join()
        self.count()


def in_the_log(cluster):
    """The jobs that the log holds, as clients have their ids."""
    with cluster.connect("atelier_app", "atelier") as database:
        database.execute("select aggregate_id from events where event_type = 'GenerationRequested'")
        return {"gen_" + row[0].replace("-", "") for row in database.fetchall()}


def nodes(cluster, program):
    """Starts two nodes over one data folder: their addresses, and the key of the demo account."""
    data = cluster.own_folder("studio")
    # A copy: PostgreSQL's user, who runs everything here, may not see the work tree.
    program = shutil.copy(program, cluster.folder / "atelier")
    database = f"postgres://{{}}@127.0.0.1:{port('haproxy')}/atelier?sslmode=disable"
    environment = {"DATABASE_URL": database.format("atelier_app"), "ATELIER_OWNER_URL": database.format("atelier_owner"),
                   "ATELIER_DATA": str(data), "HOME": str(cluster.folder)}
    for limit in ["DAY_FREE", "DAY_PRO", "BURST_FREE", "BURST_PRO", "AT_ONCE_FREE", "AT_ONCE_PRO", "WRONG_KEYS"]:
        environment[f"ATELIER_RATE_{limit}"] = "0"
    urls = []
    for n in range(2):
        arguments = [program, "serve", "--listen", f"127.0.0.1:{port('atelier', n)}"] + (["--demo"] if n == 0 else [])
        cluster.start(f"atelier-{n}", arguments, environment)
        urls.append(f"http://127.0.0.1:{port('atelier', n)}")
        wait("a ready node", lambda url=urls[-1]: urllib.request.urlopen(f"{url}/health/ready", timeout=3).status == 200)
        if n == 0:
            wait("the demo studio", lambda: "atelier is ready" in (cluster.folder / "atelier-0.log").read_text())
    values = dict(line.split("=", 1) for line in (data / "demo.env").read_text().splitlines() if "=" in line)
    return urls, values["ATELIER_API_KEY"], environment


def strike(cluster, load, freeze):
    """Kills the leader under load, with replication frozen before or not, and waits until it is a standby again."""
    leader = cluster.whole()
    begin, begun = load.count(), time.monotonic()
    load.give(ORDERS)
    wait("acknowledgements", lambda: load.count() >= begin + BEFORE)
    frozen = [pid for name in NODES if name != leader for pid in cluster.receivers(name)] if freeze else []
    send(frozen, signal.SIGSTOP)
    if freeze:
        time.sleep(FROZEN)
    cluster.kill(leader)
    # A receiver that is frozen cannot be told to end, and its standby could not become the leader.
    send(frozen, signal.SIGCONT)
    wait("the other acknowledgements", lambda: load.count() == begin + ORDERS)
    cluster.patroni(leader)
    cluster.whole()
    told = load.since(begin)
    times = [begun] + [when for when, _ in told]
    silence = max(later - earlier for earlier, later in zip(times, times[1:]))
    there = in_the_log(cluster)
    lost = [job for _, job in told if job not in there]
    print(f"| {'freeze and kill' if freeze else 'kill':15} | {leader:6} | {len(told):12} | {len(lost):4} | {silence:7.1f} |", flush=True)
    return len(told), len(lost)


def drill(cluster, program):
    urls, key, environment = nodes(cluster, program)
    program = cluster.folder / "atelier"
    load = Load(urls, key)
    print("| strike          | leader | acknowledged | lost | silence |\n| --------------- | ------ | ------------ | ---- | ------- |", flush=True)
    struck = [strike(cluster, load, freeze) for freeze in [False] * KILLS + [True] * FREEZES]
    load.stop()
    there = in_the_log(cluster)
    lost = [job for _, job in load.since(0) if job not in there]
    print(f"{len(struck)} strikes: {load.count()} acknowledged, {len(lost)} lost, {load.unanswered} requests sent again; silence in seconds")
    open_jobs = """select count(*) from events e where event_type = 'GenerationRequested' and not exists (select from events f
        where f.aggregate_id = e.aggregate_id and f.event_type in
        ('GenerationSucceeded', 'GenerationFailed', 'GenerationCancelled', 'GenerationAbandoned'))"""

    def ended():
        with cluster.connect("atelier_app", "atelier") as database:
            database.execute(open_jobs)
            return database.fetchone()[0] == 0

    wait("the end of every job", ended)
    cluster.start("atelier-doctor", [program, "doctor"], environment)
    code = cluster.running.pop("atelier-doctor").wait()
    said = (cluster.folder / "atelier-doctor.log").read_text()
    print(f"every job has ended; doctor: {code}")
    if lost or code:
        print(said)
        raise SystemExit(1)


def main():
    what, tools = sys.argv[1], Path(sys.argv[2]).resolve()
    cluster = Cluster(tools)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cluster.up()
        if what == "up":
            print(f"the leader is behind 127.0.0.1:{port('haproxy')}: postgres://atelier_app@127.0.0.1:{port('haproxy')}/atelier", flush=True)
            signal.pause()
        else:
            drill(cluster, sys.argv[3])
    except KeyboardInterrupt:
        pass
    finally:
        cluster.down()


if __name__ == "__main__":
    main()
