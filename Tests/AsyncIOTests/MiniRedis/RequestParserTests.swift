// SPDX-License-Identifier: Apache-2.0
//
// Requests in bytes as they come: whole, in any pieces, and broken.

import Testing

@testable import mini_redis

@Suite struct RequestParserTests {
  /// Requests of all kinds in one stream.
  private static let stream =
    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nbinary\r\n$1\r\n\r\nPING\r\n*0\r\n\r\n*-1\r\n*1\r\n$0\r\n\r\n"
    + "SET q \"a b\\x41\" 'c d'\n*2\r\n$3\r\nGET\r\n$30\r\na key that needs an array, this\r\n*1\r\n$4\r\nPING\r\n"
  private static let requests = [
    ["SET", "k", "binary\r\n$1\r\n"], ["PING"], [""], ["SET", "q", "a bA", "c d"],
    ["GET", "a key that needs an array, this"].map { String($0.prefix(30)) }, ["PING"],
  ]

  @Test func `a stream is found in one piece`() {
    let result = Pieces(of: Self.stream).parse(splittingAt: [])
    #expect(result == Parsed(requests: Self.requests, error: nil))
  }

  @Test func `a stream is found at every split into two`() {
    let pieces = Pieces(of: Self.stream)
    for place in 0...Self.stream.utf8.count {
      #expect(pieces.parse(splittingAt: [place]).requests == Self.requests, "at \(place)")
    }
  }

  @Test func `a stream is found byte by byte, and at splits of a thousand seeds`() {
    let pieces = Pieces(of: Self.stream)
    let count = Self.stream.utf8.count
    #expect(pieces.parse(splittingAt: Array(0...count)).requests == Self.requests)
    for seed in 1...1_000 {
      var random = SeededBytes(seed: UInt64(seed))
      let places = (0..<random.next(8)).map { _ in random.next(count + 1) }.sorted()
      #expect(pieces.parse(splittingAt: places).requests == Self.requests, "seed \(seed)")
    }
  }

  @Test(arguments: [
    ("*x\r\n", ProtocolError.invalidMultibulkLength), ("*\r\n", .invalidMultibulkLength),
    ("*1x\r\n", .invalidMultibulkLength), ("*01\r\n", .invalidMultibulkLength), ("*+1\r\n", .invalidMultibulkLength),
    ("*99999999999999999999\r\n", .invalidMultibulkLength), ("*1048577\r\n", .invalidMultibulkLength),
    ("*1\r\n:4\r\nPING\r\n", .expectedBulk(UInt8(ascii: ":"))), ("*1\r\n\r\n", .expectedBulk(UInt8(ascii: "\r"))),
    ("*1\r\n$-1\r\n", .invalidBulkLength), ("*1\r\n$x\r\n", .invalidBulkLength), ("*1\r\n$\r\n", .invalidBulkLength),
    ("*1\r\n$04\r\n", .invalidBulkLength), ("*1\r\n$4 \r\n", .invalidBulkLength),
    ("*1\r\n$67108865\r\n", .invalidBulkLength), ("GET \"a\r\n", .unbalancedQuotes), ("GET 'a'b\n", .unbalancedQuotes),
  ])
  func `broken bytes are an error, in the words of Redis, at every split`(text: String, error: ProtocolError) {
    let pieces = Pieces(of: "*1\r\n$4\r\nPING\r\n" + text)
    for place in 0...text.utf8.count + 14 {
      #expect(pieces.parse(splittingAt: [place]) == Parsed(requests: [["PING"]], error: error), "at \(place)")
    }
  }

  @Test func `a half of anything is just not whole yet`() {
    for end in 0..<Self.stream.utf8.count {
      let pieces = Pieces(of: String(decoding: Self.stream.utf8.prefix(end), as: UTF8.self))
      #expect(pieces.parse(splittingAt: []).error == nil, "at \(end)")
    }
  }

  @Test func `lines that do not end are an error at their limit, and not before`() {
    var limits = RequestLimits()
    limits.line = 100
    for (start, error) in [
      ("x", ProtocolError.tooBigInline), ("*1", .tooBigMultibulkCount), ("*1\r\n$1", .tooBigBulkCount),
    ] {
      let prefix = start.hasPrefix("*1\r\n") ? 2 : start.utf8.count
      let fits = Pieces(of: start + String(repeating: "1", count: 100 - prefix), limits)
      #expect(fits.parse(splittingAt: []).error == nil)
      let isTooLong = Pieces(of: start + String(repeating: "1", count: 101 - prefix), limits)
      for place in [0, 1, 50, 100] { #expect(isTooLong.parse(splittingAt: [place]).error == error) }
    }
  }

  @Test func `what would be too large is refused when it is announced, before its bytes come`() {
    var limits = RequestLimits()
    limits.bulk = 10
    limits.request = 60
    limits.arguments = 100
    #expect(Pieces(of: "*1\r\n$11\r\n", limits).parse(splittingAt: []).error == .invalidBulkLength)
    #expect(Pieces(of: "*101\r\n", limits).parse(splittingAt: []).error == .invalidMultibulkLength)
    let argument = "$10\r\n0123456789\r\n"
    let three = Pieces(of: "*3\r\n" + argument + argument + argument, limits).parse(splittingAt: [])
    #expect(three.requests.count == 1)
    let four = Pieces(of: "*4\r\n" + argument + argument + argument + "$10\r\n", limits).parse(splittingAt: [])
    #expect(four == Parsed(requests: [], error: .tooBigRequest))
  }

  @Test func `words of a line: blanks, quotes, escapes`() {
    for (line, words) in [
      ("  a\t b  ", ["a", "b"]), ("\"\" ''", ["", ""]), (#""\n\r\t\a\b\\\"\q\x41\x4g""#, ["\n\r\t\u{7}\u{8}\\\"qAx4g"]),
      (#"'a\'b\n'"#, [#"a'b\n"#]), (#"a"b c""#, ["ab c"]), ("a\u{0}b", ["a\u{0}b"]),
    ] {
      #expect(Pieces(of: line + "\r\n").parse(splittingAt: []).requests == [words], "\(line)")
    }
  }

  @Test func `a client that sends nothing more costs nothing of what it has sent`() {
    var parser = RequestParser()
    let large = Array(("*100000\r\n" + String(repeating: "$0\r\n\r\n", count: 100_000)).utf8)
    #expect(parser.next(in: large.span) == .request && parser.arguments.count == 100_000)
    #expect(parser.discard() == large.count && parser.arguments.capacity == 0)
    let line = Array((String(repeating: "x ", count: 10_000) + "\n").utf8)
    #expect(parser.next(in: line.span) == .inline && parser.count == 10_000)
    #expect(parser.discard() == line.count && parser.arguments.capacity == 0 && parser.line.capacity == 0)
    let small = Array("*1\r\n$4\r\nPING\r\n".utf8)
    #expect(parser.next(in: small.span) == .request && parser.count == 1)
  }

  @Test func `a large argument in many pieces is looked at once`() {
    let count = 1 << 20
    let pieces = Pieces(of: "*2\r\n$4\r\nECHO\r\n$\(count)\r\n" + String(repeating: "x", count: count) + "\r\n")
    let result = pieces.parse(splittingAt: Array(stride(from: 0, to: count, by: 4_096)))
    #expect(result.requests.first?.last?.utf8.count == count)
  }
}

/// What a parser has found.
struct Parsed: Equatable {
  var requests: [[String]] = []
  var error: ProtocolError?
}

/// Bytes that come to a parser in pieces, as they come to a session.
struct Pieces {
  private let bytes: [UInt8]
  private let limits: RequestLimits

  init(of text: String, _ limits: RequestLimits = RequestLimits()) {
    self.init(of: Array(text.utf8), limits)
  }

  init(of bytes: [UInt8], _ limits: RequestLimits = RequestLimits()) {
    self.bytes = bytes
    self.limits = limits
  }

  /// - Parameter places: In order.
  func parse(splittingAt places: [Int]) -> Parsed {
    var parser = RequestParser(limits: limits)
    var parsed = Parsed()
    var stash: [UInt8] = []
    var start = 0
    for end in places + [bytes.count] {
      stash += bytes[start..<min(end, bytes.count)]
      start = min(end, bytes.count)
      loop: while true {
        switch parser.next(in: stash.span) {
        case .request: parsed.requests.append(words(Request(stash.span, parser.arguments, parser.count)))
        case .inline:
          let line = parser.line
          parsed.requests.append(words(Request(line.span, parser.arguments, parser.count)))
        case .incomplete: break loop
        case .failed(let error):
          parsed.error = error
          return parsed
        }
      }
      stash.removeFirst(parser.discard())
    }
    return parsed
  }

  private func words(_ request: borrowing Request) -> [String] {
    var words: [String] = []
    for index in 0..<request.count { words.append(request.text(index)) }
    return words
  }
}

/// Numbers from a seed.
struct SeededBytes {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

  /// A number below a limit.
  mutating func next(_ limit: Int) -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state >> 1) % limit
  }
}
