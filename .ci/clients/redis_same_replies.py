#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Sends the same bytes to a real Redis server and to mini-redis, and compares what comes back, byte by byte: each
# command and each of its errors, broken requests, and sequences of commands from a seed.
#
#   redis_same_replies.py PROGRAM [SEED]

import random
import re
import socket
import subprocess
import sys
import time

REAL = ["redis-server", "--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"]


def request(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Client:
    """A connection, and the replies that come on it, one at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\r\n" not in self.rest:
            if not self.fill():
                return None
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line + b"\r\n"

    def fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.rest += data
        return data != b""

    def reply(self):
        """The bytes of one reply; b"closed" at the end."""
        line = self.line()
        if line is None:
            return b"closed"
        if line[:1] == b"*":
            return line + b"".join(self.reply() for _ in range(max(0, int(line[1:]))))
        if line[:1] == b"$" and int(line[1:]) >= 0:
            size = int(line[1:]) + 2
            while len(self.rest) < size:
                if not self.fill():
                    return b"closed"
            data, self.rest = self.rest[:size], self.rest[size:]
            return line + data
        return line

    def close(self):
        self.socket.close()


COMMANDS = """
PING | PING hello | PING a b | ECHO hi | ECHO | ECHO a b | echo hi | SELECT 0 | SELECT 99 | SELECT x | SELECT
GET a | SET a 1 | GET a | SET a | SET a 1 NX | SET b 2 NX | SET c 3 XX | SET a 5 XX | GET a | GET
SET a 1 NX XX | SET a 1 XX NX | SET a 1 FOO | SET a 1 EX | SET a 1 EX 0 | SET a 1 EX -1 | SET a 1 EX x | SET a 1 PX 0
SET a 1 EX 10 PX 10 | SET a 1 EX 10 KEEPTTL | SET a 1 KEEPTTL EX 10 | SET a 1 EX 9223372036854775807 | SET a 1 EX 9999999999999999999
SET a 1 PX 9223372036854775807 | SET a 1 EX 100 | TTL a | SET a 2 KEEPTTL | TTL a | SET a 3 | TTL a | SET a 4 GET | SET new 4 GET | SET new 5 NX GET
SET new 6 XX GET | GET new | SET a 1 ex 100 nx | SET a 1 ex 100 xx | TTL a
DEL a b c | DEL a | DEL | EXISTS a | SET a 1 | EXISTS a a a | EXISTS | UNLINK a zz | TYPE a | TYPE
MSET a 1 b 2 | MGET a b c | MSET a | MSET a 1 b | MGET | MSET | STRLEN a | STRLEN zz | GETDEL a | GETDEL a | STRLEN | GETDEL
INCR n | INCR n | DECR n | INCRBY n 10 | DECRBY n 3 | INCRBY n x | INCRBY n 1.5 | DECRBY n -9223372036854775808 | INCRBY n 9223372036854775807
INCR | DECR | INCRBY n | DECRBY n 1 2 | SET n 9223372036854775807 | INCR n | SET n -9223372036854775808 | DECR n | SET n 01 | INCR n | SET n " 1" | INCR n
SET n x | INCR n | SET n -0 | INCR n | SET n -1 | INCR n | DECR n | DECR n | SET n 9223372036854775808 | INCR n | SET n +1 | INCR n
RPUSH l a b c | LPUSH l z y | LRANGE l 0 -1 | LRANGE l 1 2 | LRANGE l -2 -1 | LRANGE l 5 1 | LRANGE l -100 100 | LRANGE l 100 200 | LRANGE l a b | LRANGE l 0
LRANGE l -9223372036854775808 9223372036854775807 | LRANGE l 0 -100 | LRANGE none 0 -1 | LLEN l | LLEN none | LLEN | TYPE l | LPUSH l | RPUSH
LPOP l | RPOP l | LPOP l 2 | LPOP l 0 | LPOP none | LPOP none 2 | LPOP l -1 | LPOP l x | LPOP l 1 2 | RPOP l 100 | EXISTS l | LPOP l 0 | LPOP
RPUSH l 1 | GET l | INCR l | SET s 1 | LPUSH s 1 | RPUSH s 1 | LRANGE s 0 -1 | LLEN s | LPOP s | RPOP s | LPOP s 1 | STRLEN l | GETDEL l | MGET l s | SET l 1 GET
SET l 1 | GET l | DEL l | BLPOP s 1 | BLPOP none s 1 | BLPOP l | BLPOP l x | BLPOP l -1 | BLPOP l nan | BLPOP l 0x | BLPOP l 0.01 | BRPOP l 0.01
RPUSH l 1 2 3 | BLPOP l 0 | BRPOP none l 1 | BLPOP l s 1 | BLPOP none none 0.01 | EXISTS l
SET a 1 | EXPIRE a 100 | TTL a | PERSIST a | TTL a | PERSIST a | PERSIST none | TTL none | PTTL none | PTTL a | EXPIRE none 10 | EXPIRE a x | EXPIRE a | EXPIRE a 10 FOO
EXPIRE a 100 XX | EXPIRE a 100 GT | EXPIRE a 100 LT | TTL a | EXPIRE a 50 GT | EXPIRE a 200 LT | EXPIRE a 200 GT | EXPIRE a 50 LT | TTL a | EXPIRE a 10 NX | EXPIRE a 10 NX XX
EXPIRE a 10 GT LT | EXPIRE a 10 NX GT | EXPIRE a 20 xx | TTL a | EXPIRE a 9223372036854775807 | EXPIRE a -9223372036854775808 | PEXPIRE a 9223372036854775807 | EXPIRE a 0 | EXISTS a
SET a 1 | PEXPIRE a -1 | EXISTS a | SET a 1 | PEXPIRE a 100000 | TTL a | INCR a | TTL a | MSET a 5 | TTL a | EXPIRE a 100 | DEL a | SET a 1 | TTL a | TTL | PERSIST | PEXPIRE a
FLUSHALL | SET one 1 | KEYS * | KEYS o?e | KEYS o[a-n]e | KEYS o[^a-m]e | KEYS o[^n]e | KEYS \\one | KEYS *n* | KEYS one* | KEYS two | KEYS on | KEYS [ | KEYS o[n-]e | KEYS **e | KEYS
DBSIZE | DBSIZE x | FLUSHALL x | FLUSHALL SYNC | FLUSHDB ASYNC | FLUSHDB a b | DBSIZE
CONFIG GET save | CONFIG GET appendonly | CONFIG GET APPENDONLY | CONFIG GET nothing | CONFIG GET | CONFIG | CONFIG FOO | CONFIG FOO a b
PUBLISH ch m | PUBLISH ch | UNSUBSCRIBE | UNSUBSCRIBE x | SUBSCRIBE | CLIENT SETNAME me | CLIENT GETNAME | CLIENT SETNAME "a b" | CLIENT SETNAME | CLIENT FOO | CLIENT GETNAME x | CLIENT
NOSUCH | NOSUCH a b c | "no such" "a\\r\\nb" | COMMAND FOO | COMMAND INFO nosuch | COMMAND COUNT x | COMMAND DOCS nosuch | HELLO x | HELLO 2 FOO
"" | "" x | GET "" | SET "" 1 | GET "" | QUIT
"""

RAW = [
    b"PING\r\n", b"PING\n", b"\r\nPING\r\n", b"  PING   hi  \r\n", b"SET q \"a b\"\r\nGET q\r\n", b"SET q 'a\\'b'\r\nGET q\r\n",
    b"SET q \"\\x41\\n\\q\"\r\nGET q\r\n", b"GET \"a\r\n", b"GET \"a\"b\r\n", b"GET 'a\r\n", b"GET 'a'b\r\n", b"GET a\"b c\"\r\n",
    b"*0\r\nPING\r\n", b"*-1\r\nPING\r\n", b"*-100\r\nPING\r\n", b"*\r\n", b"*x\r\n", b"*1x\r\n", b"*01\r\n", b"*+1\r\n", b"*99999999999\r\n",
    b"*2147483648\r\n", b"*9223372036854775808\r\n", b"*1\r\nPING\r\n", b"*1\r\n:4\r\nPING\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$x\r\n", b"*1\r\n$\r\n",
    b"*1\r\n$4x\r\nPING\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$999999999\r\n", b"*1\r\n\r\n", b"*1\r\n$0\r\n\r\n", b"*1\r\n$4\r\nPINGxx",
    b"RPUSH l 1 2\r\nBLPOP l none 0.05\r\nBLPOP none 0.05\r\nPING\r\nQUIT\r\nPING\r\n",
    b"x" * 70000, b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000, b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n",
    b"GET \xff\xfe\r\n", b"*1\r\n\x0d\x0a\x0d\x0a",
]


def words(line):
    """Splits a command line as redis-cli does."""
    found = []
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"|(\S+)', line):
        quoted, plain = match.groups()
        found.append(plain.replace("\\\\", "\\") if plain is not None else quoted.encode().decode("unicode_escape"))
    return found


def start(command):
    for _ in range(20):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(command + [str(port)], stdout=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return process, port
            except ConnectionRefusedError:
                if process.poll() is not None:
                    break
                time.sleep(0.05)
    raise SystemExit("no server came up: " + command[0])


def random_words(rng):
    key = rng.choice(["a", "b", "c", "list", "a-key-that-is-longer-than-any-short-one"])
    value = rng.choice(["1", "-5", "x", "", "v" * 22, "v" * 23, "9223372036854775807", "y" * rng.randrange(3000)])
    number = rng.choice(["0", "1", "-1", "2", "100", "x", "-3"])
    return rng.choice([
        ["GET", key], ["SET", key, value], ["SET", key, value, rng.choice(["NX", "XX", "GET", "KEEPTTL", "EX"]), "GET"],
        ["SET", key, value, "EX", number], ["DEL", key], ["EXISTS", key, "b"], ["INCR", key], ["DECR", key],
        ["INCRBY", key, number], ["MGET", key, "a", "list"], ["MSET", key, value, "c", "3"], ["EXPIRE", key, number],
        ["TTL", key], ["PERSIST", key], ["DBSIZE"], ["RPUSH", key, value, "e"], ["LPUSH", key, value], ["LPOP", key],
        ["RPOP", key, number], ["LRANGE", key, number, rng.choice(["-1", "1", "5", "-2"])], ["LLEN", key], ["TYPE", key],
        ["STRLEN", key], ["GETDEL", key], ["BLPOP", key, "list", "0.001"], ["PING", value], ["ECHO", value],
        ["KEYS", rng.choice(["a", "b?", "[a-c]"]) + "x"], ["FLUSHALL"] if rng.random() < 0.1 else ["PING"],
    ])


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    real, real_port = start(REAL)
    ours, our_port = start([program, "--port"])
    failures = 0
    checks = 0

    def compare(what, a, b):
        nonlocal failures, checks
        checks += 1
        if a != b:
            failures += 1
            print(f"{what}\n  Redis: {a[:300]!r}\n  ours:  {b[:300]!r}")

    try:
        clients = [Client(real_port), Client(our_port)]
        for line in COMMANDS.strip().split("\n"):
            for command in line.split(" | "):
                replies = []
                for client in clients:
                    client.send(request(*words(command)))
                    replies.append(client.reply())
                compare(command, *replies)
        for client in clients:
            client.close()

        for data in RAW:
            replies = []
            for port in (real_port, our_port):
                client = Client(port)
                client.send(data)
                client.socket.shutdown(socket.SHUT_WR)
                while client.fill():
                    pass
                replies.append(client.rest)
                client.close()
            compare(repr(data[:60]), *replies)

        rng = random.Random(seed)
        clients = [Client(real_port), Client(our_port)]
        for client in clients:
            client.send(request("FLUSHALL"))
            client.reply()
        for round in range(300):
            commands = [random_words(rng) for _ in range(rng.randrange(1, 40))]
            data = b"".join(request(*c) for c in commands)
            replies = []
            for client in clients:
                at = 0
                while at < len(data):
                    end = at + rng.choice([len(data), 1, 7, 100, 1000])
                    client.send(data[at:end])
                    at = end
                replies.append([client.reply() for _ in commands])
            for command, a, b in zip(commands, *replies):
                compare(f"round {round}: {command}", a, b)
    finally:
        for process in (real, ours):
            process.terminate()
            process.wait(10)
    print(f"{checks} replies compared, {failures} differ")
    sys.exit(1 if failures else 0)


main()
