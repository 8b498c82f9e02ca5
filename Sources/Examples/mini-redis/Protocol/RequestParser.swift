// SPDX-License-Identifier: Apache-2.0
//
// Requests, found in bytes as they come. It copies nothing, and remembers where it was when the bytes ended in the middle
// of a request, so no byte is looked at twice.

/// Finds the requests in a stream of bytes: RESP2 arrays of bulk strings, and inline commands.
///
/// It is given the same bytes again, with more behind them, until they hold a whole request. The places of its arguments
/// are then the first ``count`` of ``arguments``: in those bytes, or for an inline command in ``line``.
///
/// Invariant: `start <= cursor`, and both are places in the bytes of the last call, less those that were discarded since.
/// `missing` arguments of the request at `start` are still to come; if one of them has been announced, it has
/// `announced` bytes, else that is -1. There is no end of a line between `cursor` and `searched`.
struct RequestParser: ~Copyable {
  /// What a call has found.
  enum Outcome: Equatable {
    /// A request in the bytes.
    case request
    /// A request in ``line``.
    case inline
    /// The bytes end before the request does.
    case incomplete
    /// This is no request, and where the next one begins cannot be known.
    case failed(ProtocolError)
  }

  /// The places of the arguments of the last request, and then of some from before it. (To empty an array costs as much
  /// as the rest of a small request.)
  private(set) var arguments: [Argument] = []
  /// How many arguments the last request has.
  private(set) var count = 0
  /// The words of the last inline command, without their quotes.
  private(set) var line: [UInt8] = []
  private let limits: RequestLimits
  private var start = 0
  private var cursor = 0
  private var searched = 0
  private var missing = 0
  private var announced = -1

  init(limits: RequestLimits = RequestLimits()) {
    self.limits = limits
  }

  /// Looks for the next request.
  mutating func next(in bytes: Span<UInt8>) -> Outcome {
    while missing == 0 {
      start = cursor
      guard cursor < bytes.count else { return .incomplete }
      guard bytes[cursor] == UInt8(ascii: "*") else {
        if let outcome = nextInline(in: bytes) { return outcome }
        continue
      }
      switch numberOfLine(in: bytes, startingWith: UInt8(ascii: "*")) {
      case .incomplete: return .incomplete
      case .tooLong: return .failed(.tooBigMultibulkCount)
      case .malformed, .unexpected: return .failed(.invalidMultibulkLength)
      case .number(let count):
        guard count <= limits.arguments else { return .failed(.invalidMultibulkLength) }
        // None, or fewer: no request, and nothing wrong.
        missing = max(0, count)
        self.count = 0
      }
    }
    return nextArguments(in: bytes)
  }

  private mutating func nextArguments(in bytes: Span<UInt8>) -> Outcome {
    while missing > 0 {
      if announced < 0 {
        guard cursor < bytes.count else { return .incomplete }
        switch numberOfLine(in: bytes, startingWith: UInt8(ascii: "$")) {
        case .incomplete: return .incomplete
        case .tooLong: return .failed(.tooBigBulkCount)
        case .malformed: return .failed(.invalidBulkLength)
        case .number(let count):
          guard count >= 0, count <= limits.bulk else { return .failed(.invalidBulkLength) }
          guard cursor - start + count <= limits.request else { return .failed(.tooBigRequest) }
          announced = count
        case .unexpected(let byte): return .failed(.expectedBulk(byte))
        }
      }
      // What stands in the place of its line end is not looked at: Redis does not, either.
      guard bytes.count - cursor >= announced + 2 else { return .incomplete }
      add(Argument(start: cursor, count: announced))
      cursor += announced + 2
      searched = cursor
      announced = -1
      missing -= 1
    }
    return .request
  }

  private mutating func add(_ argument: Argument) {
    if count < arguments.count {
      arguments[count] = argument
    } else {
      arguments.append(argument)
    }
    count += 1
  }

  /// Takes the bytes that are done with out of account, for the caller to discard them. Between two requests, what a
  /// large one took is given back: a client that sends nothing costs next to nothing.
  ///
  /// - Returns: How many they are, from the front.
  mutating func discard() -> Int {
    let done = missing == 0 ? cursor : start
    if missing == 0 {
      if arguments.capacity > Self.keptArguments { arguments = [] }
      if line.capacity > Self.keptLine { line = [] }
    } else if done > 0 {
      for index in 0..<count { arguments[index].start -= done }
    }
    start -= min(start, done)
    cursor -= done
    searched = max(cursor, searched - done)
    return done
  }

  private static let keptArguments = 128
  private static let keptLine = 1_024
}

// MARK: Lines

extension RequestParser {
  fileprivate enum Line {
    case number(Int)
    case incomplete, tooLong, malformed
    case unexpected(UInt8)
  }

  /// Reads a line of one byte and a number, and goes on behind it.
  @inline(__always)
  fileprivate mutating func numberOfLine(in bytes: Span<UInt8>, startingWith expected: UInt8) -> Line {
    // The number of a line without a fault, and of a few digits.
    var index = cursor + 1
    var value = 0
    let end = min(bytes.count, index + Self.fewDigits)
    while index < end {
      let digit = bytes[index] &- UInt8(ascii: "0")
      guard digit < 10 else { break }
      value = 10 &* value &+ Int(digit)
      index += 1
    }
    if index > cursor + 1, index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\r"),
      bytes[cursor] == expected, bytes[cursor + 1] != UInt8(ascii: "0")
    {
      cursor = index + 2
      searched = cursor
      return .number(value)
    }
    return unusualNumber(in: bytes, startingWith: expected)
  }

  /// The same for all lines, also those that have not come as a whole.
  private mutating func unusualNumber(in bytes: Span<UInt8>, startingWith expected: UInt8) -> Line {
    guard let end = firstIndex(of: UInt8(ascii: "\r"), in: bytes) else {
      return searched - cursor > limits.line ? .tooLong : .incomplete
    }
    // The line feed, too, which nobody looks at.
    guard end + 1 < bytes.count else { return .incomplete }
    if bytes[cursor] != expected { return .unexpected(bytes[cursor]) }
    guard let number = Decimal.parse(bytes.extracting((cursor + 1)..<max(cursor + 1, end))) else { return .malformed }
    cursor = end + 2
    searched = cursor
    return .number(number)
  }

  /// An inline command; `nil` for an empty line, which is none.
  fileprivate mutating func nextInline(in bytes: Span<UInt8>) -> Outcome? {
    guard let end = firstIndex(of: UInt8(ascii: "\n"), in: bytes) else {
      return searched - cursor > limits.line ? .failed(.tooBigInline) : .incomplete
    }
    var text = bytes.extracting(cursor..<end)
    if text.count > 0, text[text.count - 1] == UInt8(ascii: "\r") { text = text.extracting(droppingLast: 1) }
    arguments.removeAll(keepingCapacity: true)
    line.removeAll(keepingCapacity: true)
    guard InlineWords.split(text, into: &line, &arguments) else { return .failed(.unbalancedQuotes) }
    count = arguments.count
    cursor = end + 1
    searched = cursor
    return arguments.isEmpty ? nil : .inline
  }

  /// The first such byte from the cursor on, within the limit of a line. What was searched is not searched again.
  private mutating func firstIndex(of byte: UInt8, in bytes: Span<UInt8>) -> Int? {
    let end = min(bytes.count, cursor + limits.line + 1)
    while searched < end {
      if bytes[searched] == byte { return searched }
      searched += 1
    }
    return nil
  }

  /// So many that the number does not overflow.
  private static let fewDigits = 18
}
