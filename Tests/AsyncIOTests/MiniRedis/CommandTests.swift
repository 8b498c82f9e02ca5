// SPDX-License-Identifier: Apache-2.0
//
// Each command, and each of its errors, in the words of Redis.

import AsyncIO
import Testing

@testable import mini_redis

@Suite(.oneAtATime) struct CommandTests {
  private static let wrongType = "-WRONGTYPE Operation against a key holding the wrong kind of value|"
  private static let notAnInteger = "-ERR value is not an integer or out of range|"
  private static let syntax = "-ERR syntax error|"

  /// Sends the requests in order to a new service, and compares the replies.
  private func expect(
    _ exchange: [(String, String)], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try runVirtually(mayLeave: true) { loop in
      let service = Service(on: loop)
      let replies = service.replies(to: exchange.map(\.0), on: loop)
      for ((command, expected), reply) in zip(exchange, replies) {
        #expect(reply == expected, "\(command)", sourceLocation: sourceLocation)
      }
    }
  }

  private func arity(_ command: String) -> String { "-ERR wrong number of arguments for '\(command)' command|" }

  @Test func `PING, ECHO, SELECT, QUIT`() throws {
    try expect([
      ("PING", "+PONG|"), ("ping hello", "$5|hello|"), ("PING a b", arity("ping")), ("ECHO 'a b'", "$3|a b|"),
      ("ECHO", arity("echo")), ("SELECT 0", "+OK|"), ("SELECT 1", "-ERR DB index is out of range|"),
      ("SELECT x", Self.notAnInteger), ("QUIT", "+OK|"), ("PING", ""),
    ])
  }

  @Test func `unknown commands are told with the first of their arguments`() throws {
    try expect([
      ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: |"),
      ("NOSUCH a 'b c'", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b c' |"),
      ("'a\r\nb' 'c\r\nd'", "-ERR unknown command 'a  b', with args beginning with: 'c  d' |"),
      ("PING", "+PONG|"),
    ])
  }

  @Test func `GET and SET, and all that may stand behind the value`() throws {
    try expect([
      ("GET a", "$-1|"), ("SET a 1", "+OK|"), ("GET a", "$1|1|"), ("SET a 2 NX", "$-1|"), ("SET b 2 nx", "+OK|"),
      ("SET c 3 XX", "$-1|"), ("SET a 3 XX", "+OK|"), ("SET a 4 GET", "$1|3|"), ("SET d 5 GET", "$-1|"),
      ("SET d 6 NX GET", "$1|5|"), ("GET d", "$1|5|"), ("SET a 1 NX XX", Self.syntax), ("SET a 1 FOO", Self.syntax),
      ("SET a 1 EX", Self.syntax), ("SET a 1 EX 1 PX 1", Self.syntax), ("SET a 1 EX 1 KEEPTTL", Self.syntax),
      ("SET a 1 KEEPTTL PX 1", Self.syntax), ("SET a 1 EX x", Self.notAnInteger),
      ("SET a 1 EX 0", "-ERR invalid expire time in 'set' command|"),
      ("SET a 1 PX -1", "-ERR invalid expire time in 'set' command|"),
      ("SET a 1 EX 9223372036854775807", "-ERR invalid expire time in 'set' command|"),
      ("SET a 1 PX 9223372036854775807", "-ERR invalid expire time in 'set' command|"),
      ("GET a", "$1|4|"), ("RPUSH l x", ":1|"), ("GET l", Self.wrongType), ("SET l 1 GET", Self.wrongType),
      ("SET l 1", "+OK|"), ("GET l", "$1|1|"), ("GET", arity("get")), ("SET a", arity("set")),
    ])
  }

  @Test func `MGET, MSET, STRLEN, GETDEL`() throws {
    try expect([
      ("MSET a 1 b 22", "+OK|"), ("RPUSH l x", ":1|"), ("MGET a none b l", "*4|$1|1|$-1|$2|22|$-1|"),
      ("MSET a", arity("mset")), ("MSET a 1 b", arity("mset")), ("MGET", arity("mget")), ("STRLEN b", ":2|"),
      ("STRLEN none", ":0|"), ("STRLEN l", Self.wrongType), ("GETDEL b", "$2|22|"), ("GETDEL b", "$-1|"),
      ("GETDEL l", Self.wrongType),
    ])
  }

  @Test func `INCR, DECR, INCRBY, DECRBY`() throws {
    try expect([
      ("INCR n", ":1|"), ("INCR n", ":2|"), ("DECR n", ":1|"), ("INCRBY n 10", ":11|"), ("DECRBY n 12", ":-1|"),
      ("GET n", "$2|-1|"), ("INCRBY n x", Self.notAnInteger), ("INCRBY n 1.5", Self.notAnInteger),
      ("DECRBY n -9223372036854775808", "-ERR decrement would overflow|"), ("SET n 9223372036854775807", "+OK|"),
      ("INCR n", "-ERR increment or decrement would overflow|"), ("SET n x", "+OK|"), ("INCR n", Self.notAnInteger),
      ("SET n 01", "+OK|"), ("INCR n", Self.notAnInteger), ("RPUSH l 1", ":1|"), ("INCR l", Self.wrongType),
      ("INCR", arity("incr")), ("DECRBY n", arity("decrby")),
    ])
  }

  @Test func `DEL, EXISTS, TYPE, KEYS, DBSIZE, FLUSHALL`() throws {
    try expect([
      ("MSET a 1 b 2 c 3", "+OK|"), ("EXISTS a a none", ":2|"), ("DEL a none a", ":1|"), ("UNLINK b", ":1|"),
      ("DBSIZE", ":1|"), ("TYPE c", "+string|"), ("RPUSH l x", ":1|"), ("TYPE l", "+list|"), ("TYPE none", "+none|"),
      ("KEYS c", "*1|$1|c|"), ("KEYS x*", "*0|"), ("KEYS [a-c]", "*1|$1|c|"), ("DEL", arity("del")),
      ("FLUSHALL now", Self.syntax), ("FLUSHALL ASYNC", "+OK|"), ("DBSIZE", ":0|"), ("KEYS *", "*0|"),
      ("FLUSHDB", "+OK|"), ("DBSIZE x", arity("dbsize")),
    ])
  }

  @Test func `lists: LPUSH, RPUSH, LRANGE, LLEN, LPOP, RPOP`() throws {
    try expect([
      ("RPUSH l a b c", ":3|"), ("LPUSH l z y", ":5|"), ("LRANGE l 0 -1", "*5|$1|y|$1|z|$1|a|$1|b|$1|c|"),
      ("LRANGE l 1 2", "*2|$1|z|$1|a|"), ("LRANGE l -2 100", "*2|$1|b|$1|c|"), ("LRANGE l 3 1", "*0|"),
      ("LRANGE l 0 -100", "*0|"), ("LRANGE l -9223372036854775808 0", "*1|$1|y|"),
      ("LRANGE l 4 9223372036854775807", "*1|$1|c|"), ("LRANGE none 0 -1", "*0|"), ("LRANGE l a 1", Self.notAnInteger),
      ("LLEN l", ":5|"), ("LLEN none", ":0|"), ("LPOP l", "$1|y|"), ("RPOP l", "$1|c|"), ("LPOP l 2", "*2|$1|z|$1|a|"),
      ("LPOP l 0", "*0|"), ("LPOP l -1", "-ERR value is out of range, must be positive|"), ("RPOP l 9", "*1|$1|b|"),
      ("EXISTS l", ":0|"), ("LPOP l", "$-1|"), ("LPOP l 1", "*-1|"), ("LPOP l 1 1", arity("lpop")), ("SET s 1", "+OK|"),
      ("LPUSH s 1", Self.wrongType), ("LRANGE s 0 1", Self.wrongType), ("LLEN s", Self.wrongType),
      ("RPOP s", Self.wrongType), ("RPUSH l", arity("rpush")),
    ])
  }

  @Test func `CONFIG GET, INFO, COMMAND, CLIENT, HELLO: what clients ask first`() throws {
    try expect([
      ("CONFIG GET save", "*2|$4|save|$0||"), ("CONFIG GET AppendOnly", "*2|$10|AppendOnly|$2|no|"),
      ("CONFIG GET nothing", "*0|"), ("CONFIG GET max*s", "*2|$10|maxclients|$5|10000|"),
      ("CONFIG GET", arity("config|get")), ("CONFIG SET a b", "-ERR unknown subcommand 'SET'. Try CONFIG HELP.|"),
      ("CLIENT SETNAME me", "+OK|"), ("CLIENT GETNAME", "$2|me|"), ("CLIENT SETINFO lib-name x", "+OK|"),
      ("CLIENT SETNAME 'a b'", "-ERR Client names cannot contain spaces, newlines or special characters.|"),
      ("CLIENT ID", ":1|"), ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.|"),
      ("HELLO 3", "-NOPROTO unsupported protocol version|"), ("COMMAND COUNT", ":\(CommandTable.standard.all.count)|"),
      (
        "COMMAND INFO get none",
        "*2|*10|$3|get|:2|*2|+readonly|+fast|:1|:1|:1|*0|*0|*0|*0|$-1|"
      ),
      (
        "COMMAND DOCS echo",
        "*2|$4|echo|*6|$7|summary|$21|Echo the given string|$5|since|$5|1.0.0|$5|group|$10|connection|"
      ),
      ("COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.|"),
    ])
    try runVirtually(mayLeave: true) { loop in
      let service = Service(on: loop)
      let texts = service.replies(to: ["SET a 1 EX 10", "INFO", "INFO keyspace", "INFO none"], on: loop)
      #expect(texts[1].contains("redis_version:") && texts[1].contains("connected_clients:1|"))
      #expect(texts[2] == "$49|# Keyspace|db0:keys=1,expires=1,avg_ttl=0|".replacing("$49", with: "$44") + "|")
      #expect(texts[3] == "$0||")
    }
  }
}
