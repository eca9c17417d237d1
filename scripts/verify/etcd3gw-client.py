"""Python's etcd3gw against a running Skerry, with a token: HOST PORT TOKEN. Ends with 0 if all held."""
import base64
import sys
import threading
import time

import requests
from etcd3gw import Etcd3Client, exceptions

host, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]
checks = 0


def check(what, held):
    global checks
    checks += 1
    if not held:
        print(f"not ok: {what}")
        sys.exit(1)


def refused(what, kind, text, call):
    try:
        call()
    except kind as error:
        check(f"{what}: {error!r} {error.detail_text}", text in error.detail_text)
        return
    check(f"{what}: it was accepted", False)


def client(bearer):
    session = requests.Session()
    # As etcd's clients send it: the token alone.
    session.headers["Authorization"] = bearer
    return Etcd3Client(host=host, port=port, session=session)


def b64(text):
    return base64.b64encode(text.encode()).decode()


etcd = client(token)
other = client(token)

# Who may.
refused("no token", exceptions.Etcd3Exception, "invalid auth token", lambda: Etcd3Client(host=host, port=port).get("a"))
refused("a bad token", exceptions.Etcd3Exception, "invalid auth token", lambda: client("nonsense").get("a"))

# Before anybody wrote: the group is not there, and answers as one that is empty.
check("an empty group reads empty", etcd.get("a") == [] and etcd.get_all() == [])
check("an empty group is a cluster", "version" in etcd.status())

# Keys.
check("put", etcd.put("config/a", "1") and etcd.put("config/b", b"\x00\xff"))
check("get", etcd.get("config/a") == [b"1"] and etcd.get("config/b") == [b"\x00\xff"])
value, meta = etcd.get("config/a", metadata=True)[0]
check("metadata", meta["version"] == "1" and meta["create_revision"] == meta["mod_revision"])
check("prefix, sorted", [v for v, _ in etcd.get_prefix("config/", sort_order="descend")] == [b"\x00\xff", b"1"])
check("create once", etcd.create("config/c", "x") and not etcd.create("config/c", "y"))
check("replace", etcd.replace("config/c", "x", "z") and not etcd.replace("config/c", "x", "w"))
check("delete", etcd.delete("config/c") and not etcd.delete("config/c"))
old = etcd.get("config/a", metadata=True)[0][1]["mod_revision"]
etcd.put("config/a", "2")
check("an earlier revision", etcd.get("config/a", revision=int(old)) == [b"1"])
check("delete by prefix", etcd.delete_prefix("config/") and etcd.get_prefix("config/") == [])

# Transactions.
put = {"request_put": {"key": b64("t"), "value": b64("1")}}
got = etcd.transaction({"compare": [{"key": b64("t"), "target": "VERSION", "result": "EQUAL", "version": 0}], "success": [put]})
check("a transaction", got["succeeded"] and "response_put" in got["responses"][0])
refused(
    "the same key twice", exceptions.Etcd3Exception, "duplicate key given in txn request", lambda: etcd.transaction({"success": [put, put]})
)
refused("a revision to come", exceptions.Etcd3Exception, "future revision", lambda: etcd.get("t", revision=10**9))
refused("too large a value", exceptions.Etcd3Exception, "request is too large", lambda: etcd.put("big", "x" * 1_600_000))

# Leases.
lease = etcd.lease(ttl=60)
etcd.put("held", "1", lease)
check("a lease has its keys", lease.keys() == [b"held"] and 0 < lease.ttl() <= 60 and lease.refresh() == 60)
check("a revoked lease takes its keys along", lease.revoke() and etcd.get("held") == [] and lease.ttl() == -1 and lease.refresh() == -1)
refused("an unknown lease", exceptions.Etcd3Exception, "requested lease not found", lambda: etcd.put("held", "1", lease))
short = etcd.lease(ttl=2)
etcd.put("held", "1", short)
end = time.monotonic() + 60
while etcd.get("held") != [] and time.monotonic() < end:
    time.sleep(0.2)
check("a lease that nobody keeps alive ends", etcd.get("held") == [])

# Locks.
mine, theirs = etcd.lock("duty", ttl=60), other.lock("duty", ttl=60)
check("one has the lock", mine.acquire() and not theirs.acquire() and mine.is_acquired() and not theirs.is_acquired())
check("who has it not cannot give it up", not theirs.release())
check("then the other has it", mine.refresh() > 0 and mine.release() and theirs.acquire() and theirs.release())

# Watches.
events, cancel = etcd.watch("w", prev_kv=True)
writer = threading.Thread(target=lambda: [other.put("w", str(i)) for i in range(5)] + [other.delete("w")])
writer.start()
seen = []
for event in events:
    seen.append(event)
    if len(seen) == 6:
        cancel()
writer.join()
check("every change, once and in order", [e["kv"].get("value") for e in seen] == [b"0", b"1", b"2", b"3", b"4", None])
check("the last is a deletion, with what it deleted", seen[5]["type"] == "DELETE" and base64.b64decode(seen[5]["prev_kv"]["value"]) == b"4")
first = int(seen[0]["kv"]["mod_revision"])
events, cancel = etcd.watch_prefix("w", start_revision=first + 2, filters=["NODELETE"])
again = [next(events)["kv"]["value"] for _ in range(3)]
cancel()
check("from a revision on", again == [b"2", b"3", b"4"])
try:
    etcd.watch_once("nobody", timeout=1)
    check("nothing happens to a key that nobody writes", False)
except exceptions.WatchTimedOut:
    pass

print(f"ok: {checks} checks with a token")
