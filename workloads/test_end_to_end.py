#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The three programs as they are used, over loopback: both loops, faults, bad input, signals.

The programs are looked for in $ETRAN_BIN, then in build/bin of the source tree. To test a new
transport: add it to RPC_TRANSPORTS.
"""

import csv
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

RPC_TRANSPORTS = ["tcp"]
TIMEOUT_S = 120  # far above what any case needs, so that a hang is an error and not a hang
SHORT = ["--warmup-us", "5000", "--duration-us", "60000", "--drain-us", "20000000"]

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("ETRAN_BIN", ROOT / "build" / "bin"))
SANITIZED = bool(os.environ.get("ETRAN_SANITIZE"))

pytestmark = pytest.mark.skipif(
    not (BIN / "rpcbench").exists(), reason=f"no programs in {BIN}: build first, or set ETRAN_BIN"
)


def free_ports(count=1):
    """The first of `count` consecutive ports that are free on loopback."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return first
        except (OSError, OverflowError):
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


class Running:
    """A program in the background; ended by its pid, whatever the test does."""

    def __init__(self, argv):
        self.argv = [str(a) for a in argv]
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            self.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def end(self, number=signal.SIGTERM):
        """Sends the signal; returns exit code and standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self):
        _, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, err

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Lab:
    """Starts programs for one test and keeps their files."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []
        self.counter = 0

    def file(self, suffix=".json"):
        self.counter += 1
        return self.directory / f"{self.counter}{suffix}"

    def background(self, argv):
        self.running.append(Running(argv))
        return self.running[-1]

    def server(self, bench, *options, ports=1):
        """Returns the running server, its address and its result file."""
        port = free_ports(ports)
        result = self.file()
        address = f"127.0.0.1:{port}"
        argv = [BIN / bench, "server", "--listen", address, "--json", result, *options]
        return self.background(argv), address, result

    def client(self, bench, *options, role="client", expect=0):
        """Runs a client to its end; returns its result (None if it wrote none) and its messages."""
        result = self.file()
        argv = [BIN / bench, role, "--json", result, *options]
        done = subprocess.run(
            [str(a) for a in argv], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == expect, f"{argv}\n{done.stdout}\n{done.stderr}"
        return (json.loads(result.read_text()) if result.exists() else None), done.stderr

    def close(self):
        for program in self.running:
            program.kill()


@pytest.fixture
def lab(tmp_path):
    laboratory = Lab(tmp_path)
    yield laboratory
    laboratory.close()


HEAD_FIELDS = {
    "version": int,
    "bench": str,
    "role": str,
    "state": str,
    "params": dict,
    "window_ns": int,
    "ops": int,
    "bytes": int,
    "tx_bytes": int,
    "rx_bytes": int,
    "throughput": float,
    "goodput": float,
    "errors": int,
    "verified": int,
}


def check_head(result, bench, role, state="ok"):
    for field, kind in HEAD_FIELDS.items():
        assert isinstance(result[field], kind), field
    assert result["version"] == 1
    assert (result["bench"], result["role"], result["state"]) == (bench, role, state)
    assert result["bytes"] == result["tx_bytes"] + result["rx_bytes"]


def check_latency(entries, names):
    assert [entry["name"] for entry in entries] == names
    for entry in entries:
        assert sum(count for _, count in entry["hdr"]) == entry["count"]
        values = [value for value, _ in entry["hdr"]]
        assert values == sorted(values)
        last = entry["min_ns"]
        for name, least in (("p50_ns", 1), ("p90_ns", 100), ("p99_ns", 1000), ("p999_ns", 10000)):
            if entry["count"] + entry["unfinished"] < least:
                assert entry[name] is None
            elif entry["unfinished"] == 0:
                assert last <= entry[name] <= entry["max_ns"]
                last = entry[name]


def check_client(result, bench, role="client", names=("all",)):
    check_head(result, bench, role)
    check_latency(result["latency"], list(names))
    assert result["errors"] == 0
    assert result["ops"] > 0
    assert result["verified"] > 0
    assert len(result["sample_hash"]) == 16
    assert result["throughput"] == pytest.approx(result["ops"] / result["window_ns"] * 1e9)


DECILES = ["all"] + [f"decile{i}" for i in range(10)]


# ---- rpcbench


@pytest.mark.parametrize("transport", RPC_TRANSPORTS)
@pytest.mark.parametrize(
    "options",
    [
        ["--workload", "fixed:32"],
        ["--workload", "fixed:24", "--outstanding", "20", "--connections", "3"],
        ["--workload", "fixed:1000000", "--outstanding", "3"],
        ["--workload", "fixed:1000000", "--response-bytes", "24"],
        ["--workload", "w3", "--outstanding", "8", "--batch"],
        ["--workload", "fixed:32", "--verify", "header"],
    ],
)
def test_rpc__closed_loop(lab, transport, options):
    server, address, server_result = lab.server("rpcbench", "--transport", transport)
    result, _ = lab.client(
        "rpcbench", "--server", address, "--transport", transport, *SHORT, *options
    )
    if "header" in options:
        assert result["verified"] == 0 and result["ops"] > 0
    else:
        check_client(result, "rpcbench", names=DECILES if "w3" in options else ["all"])
    assert result["latency"][0]["count"] == result["ops"]
    if "--response-bytes" in options:
        assert result["rx_bytes"] == 24 * result["ops"]
    else:
        assert result["rx_bytes"] == result["tx_bytes"]
    code, err = server.end()
    assert code == 0, err
    served = json.loads(server_result.read_text())
    check_head(served, "rpcbench", "server")
    assert served["requests"] >= result["ops"]


@pytest.mark.parametrize("workload", ["w1", "w2", "w3", "w4", "w5"])
def test_rpc__open_loop_of_each_workload(lab, workload):
    _, address, _ = lab.server("rpcbench")
    gbps = {"w1": 0.005, "w2": 0.01, "w3": 0.05, "w4": 0.4, "w5": 0.4}[workload]
    result, _ = lab.client(
        "rpcbench", "--server", address, "--workload", workload, "--gbps", gbps, *SHORT
    )
    check_client(result, "rpcbench", names=DECILES)
    assert result["unfinished"] == 0
    samples = result["latency"][0]["count"]
    assert samples == sum(entry["count"] for entry in result["latency"][1:])
    assert samples == sum(entry["count"] for entry in result["by_size"])
    assert samples == result["late"]["count"]
    mean = result["mean_message_bytes"]
    assert samples == pytest.approx(gbps * 1e9 / 8 * 0.06 / mean, rel=0.5)
    assert sum(entry["fraction"] for entry in result["by_size"]) == pytest.approx(1)


def test_rpc__open_loop_beyond_capacity_is_not_hidden(lab):
    """What could not be sent or answered in time is counted, and takes the percentiles with it."""
    _, address, _ = lab.server("rpcbench")
    # 1 Gbit/s of 24-byte requests would be 5 million per second, one at a time.
    result, _ = lab.client(
        "rpcbench",
        *["--server", address, "--workload", "fixed:24", "--gbps", "1", "--max-outstanding", "1"],
        *["--warmup-us", "0", "--duration-us", "20000", "--drain-us", "0"],
    )
    entry = result["latency"][0]
    assert entry["count"] + entry["unfinished"] == pytest.approx(104167, rel=0.05)
    assert result["unfinished"] == entry["unfinished"] > entry["count"]
    assert entry["p50_ns"] is None and entry["p99_ns"] is None
    assert result["ops"] > 0 and result["state"] == "ok"


def test_rpc__same_seed_same_offered_load(lab):
    _, address, _ = lab.server("rpcbench")
    options = ["--server", address, "--workload", "w2", "--gbps", "0.01", *SHORT]
    counts = []
    for seed in (7, 7, 8):
        result, _ = lab.client("rpcbench", "--seed", seed, *options)
        counts.append([entry["count"] for entry in result["by_size"]])
    assert counts[0] == counts[1]
    assert counts[0] != counts[2]


def test_rpc__threads_and_ports(lab):
    server, address, server_result = lab.server("rpcbench", "--threads", "2", ports=2)
    result, _ = lab.client(
        "rpcbench",
        *["--server", address, "--threads", "2", "--server-ports", "2", "--connections", "2"],
        *["--workload", "w1", "--outstanding", "4", *SHORT],
    )
    check_client(result, "rpcbench", names=DECILES)
    assert server.end()[0] == 0
    assert json.loads(server_result.read_text())["requests"] >= result["ops"]


def test_rpc__three_nodes_all_to_all(lab):
    first = free_ports(3)
    addresses = [f"127.0.0.1:{first + i}" for i in range(3)]
    results = [lab.file() for _ in addresses]
    start = time.time_ns() + 1_500_000_000
    nodes = []
    for address, result in zip(addresses, results):
        argv = [BIN / "rpcbench", "node", "--listen", address, "--server", ",".join(addresses)]
        argv += ["--workload", "w4", "--gbps", "0.3", "--seed", addresses.index(address) + 1]
        argv += ["--start-at-ns", start, "--linger-us", "60000000", "--json", result, *SHORT]
        nodes.append(lab.background(argv))
    for node in nodes:
        code, err = node.wait()
        assert code == 0, err
    answered = served = 0
    for result in results:
        node = json.loads(result.read_text())
        check_client(node, "rpcbench", role="node", names=DECILES)
        answered += node["verified"]
        served += node["server"]["requests"]
        assert node["server"]["verified"] == node["server"]["requests"]
    assert answered == served


def test_rpc__node_without_own_work_serves_while_its_peer_drains(lab):
    first = free_ports(2)
    addresses = [f"127.0.0.1:{first + i}" for i in range(2)]
    start = str(time.time_ns() + 1_000_000_000)
    nodes = []
    loads = ["fixed:32", "1"], ["fixed:1000000", "300"]
    for address, (workload, outstanding) in zip(addresses, loads):
        argv = [BIN / "rpcbench", "node", "--listen", address, "--server", ",".join(addresses)]
        argv += ["--workload", workload, "--outstanding", outstanding, "--start-at-ns", start]
        argv += ["--linger-us", "0", *SHORT]
        nodes.append(lab.background(argv))
    for node in nodes:
        code, err = node.wait()
        assert code == 0, err


def test_rpc__starts_at_the_given_time(lab):
    _, address, _ = lab.server("rpcbench")
    start = time.time_ns() + 300_000_000
    samples = lab.file(".csv")
    result, _ = lab.client(
        "rpcbench",
        *["--server", address, "--start-at-ns", start, *SHORT, "--dump-samples", samples],
    )
    assert time.time_ns() >= start + 65_000_000
    check_client(result, "rpcbench")
    with samples.open(encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result["latency"][0]["count"]
    # Closed loop: a sample ends inside the window, 5 to 65 ms after the start.
    for row in rows:
        assert 5_000_000 <= int(row["from_ns"]) + int(row["latency_ns"]) < 65_000_000


def test_rpc__own_sizes_file(lab):
    _, address, _ = lab.server("rpcbench")
    sizes = lab.file(".csv")
    sizes.write_text("percentile,mine\n50,100\n100,1000\n", encoding="ascii")
    options = ["--server", address, "--sizes-file", sizes, "--outstanding", "2", *SHORT]
    result, _ = lab.client("rpcbench", "--workload", "mine", *options)
    assert [entry["bytes"] for entry in result["by_size"]] == [100, 1000]
    _, err = lab.client("rpcbench", "--workload", "w4", *options, expect=2)
    assert "unknown workload 'w4'" in err and "mine" in err


# ---- echobench


@pytest.mark.parametrize(
    "options",
    [
        ["--size", "64"],
        ["--size", "1", "--connections", "50", "--outstanding", "16"],
        ["--size", "64", "--connections", "20", "--outstanding", "64", "--batch"],
        ["--size", "1000000", "--outstanding", "2"],
        ["--size", "2000", "--response-bytes", "100", "--threads", "2", "--connections", "5"],
    ],
)
def test_echo__closed_loop(lab, options):
    batch = ["--batch"] if "--batch" in options else []
    server, address, _ = lab.server("echobench", *batch)
    result, _ = lab.client("echobench", "--server", address, *SHORT, *options)
    check_client(result, "echobench")
    assert result["per_connection_ops"]["min"] <= result["per_connection_ops"]["max"]
    assert server.end()[0] == 0


@pytest.mark.parametrize("size", [64, 65536, 1000000])
def test_echo__stream(lab, size):
    server, address, server_result = lab.server("echobench")
    result, _ = lab.client("echobench", "--server", address, "--stream", "--size", size, *SHORT)
    check_head(result, "echobench", "client")
    assert result["goodput"] > 0
    assert result["unconfirmed_bytes"] == 0
    assert result["tx_bytes"] // size == result["ops"]
    assert server.end()[0] == 0
    assert json.loads(server_result.read_text())["rx_bytes"] >= result["tx_bytes"]


def test_echo__server_knows_the_window(lab):
    start = time.time_ns() + 400_000_000
    window = ["--start-at-ns", start, "--warmup-us", "5000", "--duration-us", "60000"]
    server, address, server_result = lab.server("echobench", *window)
    result, _ = lab.client("echobench", "--server", address, *window)
    assert server.end()[0] == 0
    served = json.loads(server_result.read_text())
    assert served["window_ns"] == result["window_ns"] == 60_000_000
    assert served["ops"] == pytest.approx(result["ops"], rel=0.2, abs=20)


# ---- kvbench


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--connections", "16", "--outstanding", "4", "--threads", "2"],
        ["--distribution", "uniform", "--get-share", "0", "--value-bytes", "5000"],
        ["--rate", "2000", "--connections", "4"],
    ],
)
def test_kv__own_server(lab, options):
    server, address, server_result = lab.server("kvbench")
    result, _ = lab.client("kvbench", "--server", address, "--keys", "1000", *SHORT, *options)
    check_client(result, "kvbench", names=["all", "get", "set"])
    assert result["misses"] == 0
    if "--get-share" in options:
        assert result["latency"][1]["count"] == 0
    if "--rate" in options:
        assert result["latency"][0]["count"] == pytest.approx(120, rel=0.4)
        assert result["unfinished"] == 0
    code, err = server.end()
    assert code == 0, err
    served = json.loads(server_result.read_text())
    check_head(served, "kvbench", "server")
    assert served["items"] == 1000


@pytest.mark.parametrize("loop", [["--outstanding", "4"], ["--rate", "2000"]])
def test_kv__stock_memcached(lab, loop):
    memcached = shutil.which("memcached", path=os.environ.get("PATH", "") + ":/usr/bin")
    if memcached is None:
        pytest.skip("no memcached here (Debian package memcached)")
    port = free_ports()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    lab.background([memcached, "-l", "127.0.0.1", "-p", port, "-t", "1", "-m", "32", *user])
    result, _ = lab.client(
        "kvbench",
        *["--server", f"127.0.0.1:{port}", "--keys", "1000", "--connections", "4", *loop, *SHORT],
    )
    check_client(result, "kvbench", names=["all", "get", "set"])
    assert result["misses"] == 0


# ---- faults: a wrong byte must fail the run


@pytest.mark.parametrize(
    "bench, options",
    [
        ("rpcbench", ["--workload", "fixed:32"]),
        ("rpcbench", ["--workload", "fixed:24"]),
        ("rpcbench", ["--workload", "fixed:1000000"]),
        ("rpcbench", ["--workload", "w3", "--gbps", "0.1"]),
        ("echobench", ["--size", "64"]),
        ("echobench", ["--size", "500000"]),
        ("echobench", ["--stream", "--size", "65536"]),
        ("kvbench", ["--keys", "100"]),
    ],
)
def test_fault__a_flipped_byte_fails_the_run(lab, bench, options):
    server, address, _ = lab.server(bench, "--fault-flip-byte", "3")
    result, err = lab.client(bench, "--server", address, *SHORT, *options, expect=1)
    assert result["state"] == "failed"
    assert result["errors"] >= 1
    assert result["problem"] and result["problem"] in err
    server.end()


def test_fault__verify_header_does_not_see_it(lab):
    _, address, _ = lab.server("rpcbench", "--fault-flip-byte", "3")
    lab.client("rpcbench", "--server", address, "--verify", "header", *SHORT)


@pytest.mark.parametrize("bench", ["rpcbench", "echobench", "kvbench"])
def test_fault__server_dies(lab, bench):
    server, address, _ = lab.server(bench)
    result = lab.file()
    argv = [BIN / bench, "client", "--server", address, "--json", result, "--duration-us", 60000000]
    client = lab.background(argv)
    wait_for_connection(server.process.pid)
    server.end(signal.SIGKILL)
    code, err = client.wait()
    # Without a finished operation there would be nothing to say but the loss; both are failures.
    assert code in (1, 2), err
    assert "lost" in err or "closed" in err or "reset" in err or "cannot connect" in err


def wait_for_connection(pid):
    """Until the process has more than its listening socket, bounded."""
    for _ in range(1000):
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        if sum(link.startswith("socket:") for link in links) > 1:
            return
        time.sleep(0.01)
    raise AssertionError("the client never connected")


# ---- bad input


@pytest.mark.parametrize("bench", ["rpcbench", "echobench", "kvbench"])
def test_bad__server_absent(lab, bench):
    address = f"127.0.0.1:{free_ports()}"
    begin = time.monotonic()
    result, err = lab.client(bench, "--server", address, "--connect-timeout-ms", "300", expect=2)
    assert result is None
    assert f"cannot connect to {address}: Connection refused" in err
    assert "what to do: start the server first" in err
    assert time.monotonic() - begin < TIMEOUT_S / 2


@pytest.mark.parametrize("bench", ["rpcbench", "echobench", "kvbench"])
def test_bad__port_in_use(lab, bench):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, err = lab.background([BIN / bench, "server", "--listen", address]).wait()
    assert code == 2
    assert f"cannot listen on {address}: Address already in use" in err
    assert "another program listens there" in err


@pytest.mark.parametrize(
    "argv, word",
    [
        (["rpcbench"], "subcommand"),
        (["rpcbench", "client"], "--server"),
        (["rpcbench", "client", "--server", "nonsense"], "bad address 'nonsense'"),
        (["rpcbench", "client", "--server", "1.2.3.4:1", "--workload", "w9"], "unknown workload"),
        (["rpcbench", "client", "--server", "1.2.3.4:1", "--workload", "fixed:3"], "24 to 1000000"),
        (["rpcbench", "client", "--server", "1.2.3.4:1", "--transport", "pigeon"], "pigeon"),
        (["rpcbench", "client", "--server", "1.2.3.4:1", "--gbps", "-1"], "gbps"),
        (["rpcbench", "client", "--server", "1.2.3.4:1", "--sizes-file", "/nowhere"], "/nowhere"),
        (["rpcbench", "client", "--server", "1.2.3.4:1", "--json", "/nowhere/x"], "/nowhere/x"),
        (["rpcbench", "client", "--server", "1.2.3.4:1", "--response-bytes", "5"], "response"),
        (["rpcbench", "node", "--listen", "1.2.3.4:1", "--server", "1.2.3.4:1"], "no peers"),
        (["rpcbench", "server", "--listen", "192.0.2.1:1"], "no such address"),
        (["rpcbench", "server", "--bogus"], "bogus"),
        (["echobench", "client", "--server", "1.2.3.4:1", "--size", "0"], "size"),
        (["echobench", "client", "--server", "1.2.3.4:1", "--threads", "2"], "fewer connections"),
        (["echobench", "server", "--listen", "127.0.0.1:65535", "--threads", "2"], "65536"),
        (["kvbench", "client", "--server", "1.2.3.4:1", "--key-bytes", "251"], "key-bytes"),
        (["kvbench", "client", "--server", "1.2.3.4:1", "--get-share", "1.1"], "get-share"),
        (["kvbench", "client", "--server", "1.2.3.4:1", "--distribution", "x"], "zipf"),
    ],
)
def test_bad__arguments(argv, word):
    argv = [str(BIN / argv[0]), *argv[1:]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 2, done
    assert word in done.stderr, done.stderr


def test_bad__start_has_passed(lab):
    _, address, _ = lab.server("rpcbench")
    past = time.time_ns() - 10**9
    _, err = lab.client("rpcbench", "--server", address, "--start-at-ns", past, expect=2)
    assert "--start-at-ns passed" in err


def test_bad__wrong_program_at_the_other_end(lab):
    """A client that talks to another benchmark's server fails with a reason instead of hanging."""
    _, address, _ = lab.server("kvbench")
    short = ["--warmup-us", "0", "--duration-us", "50000", "--drain-us", "0"]
    result, err = lab.client("rpcbench", "--server", address, *short, expect=1)
    assert result["ops"] == 0 and err
    result, err = lab.client("echobench", "--server", address, *short, expect=1)
    assert result["ops"] == 0 and err


# ---- signals, help, size


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("bench", ["rpcbench", "echobench", "kvbench"])
def test_signal__client_writes_what_it_has(lab, bench, number):
    server, address, server_result = lab.server(bench)
    result = lab.file()
    argv = [BIN / bench, "client", "--server", address, "--json", result, "--warmup-us", "0"]
    client = lab.background([*argv, "--duration-us", "600000000"])
    wait_for_connection(server.process.pid)
    code, err = client.end(number)
    assert code == 3, err
    if result.exists():  # not if the signal came before the load started
        assert json.loads(result.read_text())["state"] == "interrupted"
    assert "asked to" in err
    assert server.end(number)[0] == 0
    assert json.loads(server_result.read_text())["state"] == "ok"


@pytest.mark.parametrize("bench", ["rpcbench", "echobench", "kvbench"])
def test_help__is_complete(bench):
    for role in ([], ["server"], ["client"]):
        argv = [str(BIN / bench), *role, "--help"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
        for word in ("EXIT STATUS", "LATENCY", "EXAMPLES"):
            assert word in done.stdout, (bench, role)


@pytest.mark.skipif(SANITIZED, reason="sanitizers use memory of their own")
@pytest.mark.parametrize(
    "bench, options",
    [
        ("rpcbench", ["--workload", "w5", "--gbps", "0.5"]),
        ("echobench", ["--connections", "200", "--outstanding", "64"]),
        ("kvbench", ["--connections", "100"]),
    ],
)
def test_size__both_sides_fit_a_small_node(lab, bench, options):
    """A node has 256 MB for everything; a program may have a quarter."""
    server, address, _ = lab.server(bench)
    argv = [BIN / bench, "client", "--server", address, *options]
    client = lab.background([*argv, "--duration-us", "300000", "--drain-us", "20000000"])
    # Not rusage: its maximum begins with that of the process that forked, which is pytest.
    status = pathlib.Path(f"/proc/{client.process.pid}/status")
    largest = 0
    while client.process.poll() is None:
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                largest = max(largest, int(line.split()[1]))
        time.sleep(0.02)
    assert client.process.returncode == 0
    assert 0 < largest < 64 * 1024
    peak = pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    kilobytes = [int(line.split()[1]) for line in peak.splitlines() if line.startswith("VmHWM")]
    assert kilobytes[0] < 64 * 1024
