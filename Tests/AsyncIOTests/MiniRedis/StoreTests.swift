// SPDX-License-Identifier: Apache-2.0
//
// What is kept: bytes, numbers, patterns.

import Testing

@testable import mini_redis

@Suite struct StoreTests {
  @Test func `bytes of every length around the limit are what they were made of, and equal only to the same`() {
    var seen: Set<ByteString> = []
    for count in 0...64 {
      for last in [UInt8(0), 1, 255] {
        var bytes = [UInt8](repeating: 0, count: count)
        if count > 0 { bytes[count - 1] = last } else if last > 0 { continue }
        let string = ByteString(bytes.span)
        #expect(string.count == count)
        #expect(string.withSpan { span in (0..<span.count).map { span[$0] } } == bytes)
        #expect(string == ByteString(bytes.span))
        #expect(seen.insert(string).inserted)
        #expect(!seen.insert(ByteString(bytes.span)).inserted)
      }
    }
  }

  @Test func `bytes take 24 bytes, also as a value`() {
    #expect(MemoryLayout<ByteString>.stride == 24)
    #expect(MemoryLayout<Value?>.stride == 24)
  }

  @Test func `keys of every kind are spread over the parts, and found again`() {
    var shards = Shards<Int>()
    let long = String(repeating: "long ", count: 8)
    for number in 0..<10_000 {
      shards.set(ByteString("key:\(number)"), number)
      shards.set(ByteString("\(long)\(number)"), -number)
    }
    #expect(shards.count == 20_000)
    #expect(Set(shards.keys).count == 20_000 && Set(shards.values).count == 19_999)
    for number in 0..<10_000 {
      #expect(shards[ByteString("key:\(number)")] == number)
      if number.isMultiple(of: 2) { #expect(shards.remove(ByteString("\(long)\(number)")) == -number) }
    }
    #expect(shards.count == 15_000)
    #expect(shards.remove("none") == nil && shards.count == 15_000)
    // Of 78 in a part on average, a part with 40 more would be one in a million.
    #expect(shards.largestPart < 130)
    shards.removeAll()
    #expect(shards.isEmpty && shards["key:1"] == nil)
  }

  @Test(arguments: [0, 1, -1, 9, 10, -10, 99, 100, .max, .min, .max - 1, .min + 1])
  func `a number is read as it is written`(number: Int) {
    #expect(ByteString(number).description == "\(number)")
    #expect(ByteString(number).withSpan { Decimal.parse($0) } == number)
  }

  @Test(arguments: [
    "", "-", "+1", "01", "-01", "-0", "1 ", " 1", "1.0", "0x1", "9223372036854775808", "-9223372036854775809",
    "99999999999999999999", "1a", "--1", "1-",
  ])
  func `what is no number is not read`(text: String) {
    #expect(ByteString(text).withSpan { Decimal.parse($0) } == nil)
  }

  @Test(arguments: [
    ("*", "", true), ("*", "abc", true), ("", "", true), ("", "a", false), ("a?c", "abc", true), ("a?c", "ac", false),
    ("a*c", "ac", true), ("a*c", "abbbc", true), ("a*c", "abbb", false), ("*a*b*", "xxaxxbxx", true),
    ("*a*b", "bbaab", true), ("[abc]", "b", true), ("[abc]", "d", false), ("[a-c]x", "bx", true), ("[c-a]", "b", true),
    ("[^a-c]", "b", false), ("[^a-c]", "d", true), ("\\*", "*", true), ("\\*", "a", false), ("a\\", "a\\", true),
    ("[\\]]", "]", true), ("[a", "a", true), ("[a", "b", false), ("[", "[", false), ("a[", "a", false),
    ("A*", "abc", false), ("h[^e]llo", "hallo", true), ("h[^e]llo", "hello", false),
  ])
  func `a pattern matches whole names`(pattern: String, name: String, matches: Bool) {
    #expect(GlobPattern(ByteString(pattern)).matches(ByteString(name)) == matches)
  }

  @Test func `a pattern that ignores case does so in sets, too`() {
    let pattern = GlobPattern("Max[A-M]*", ignoresCase: true)
    #expect(pattern.matches("maxClients" as ByteString))
    #expect(pattern.matches("MAXMEMORY" as ByteString))
    #expect(!pattern.matches("maxz" as ByteString))
  }

  @Test func `a pattern of many stars takes no more than its length times that of the name`() {
    let pattern = GlobPattern(ByteString(String(repeating: "a*", count: 200) + "b"))
    let name = ByteString(String(repeating: "a", count: 2_000))
    let start = ContinuousClock.now
    #expect(!pattern.matches(name))
    // With all stars tried again, this would outlast the universe.
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  @Test func `a command is found in letters of any case, and others are not`() {
    let table = CommandTable.standard
    for command in table.all {
      for name in [command.name, command.name.uppercased(), command.name.capitalized] {
        let found = ByteString(name).withSpan { table.find($0)?.name }
        #expect(found == command.name)
      }
      for name in [command.name + "x", String(command.name.dropLast()) + "0", "x" + command.name] {
        let found = ByteString(name).withSpan { table.find($0)?.name }
        #expect(found == nil)
      }
    }
    #expect(Set(table.all.map(\.name)).count == table.all.count)
    for name in ["", "a name of more than 16 bytes", "ge\u{14}", "[et"] {
      #expect(ByteString(name).withSpan { table.find($0) } == nil)
    }
  }
}

extension String {
  fileprivate var capitalized: String { prefix(1).uppercased() + dropFirst() }
}
