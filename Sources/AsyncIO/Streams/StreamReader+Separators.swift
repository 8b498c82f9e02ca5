// SPDX-License-Identifier: Apache-2.0
//
// Reading up to a separator: lines, and records of other kinds.

extension StreamReader {
  /// Reads up to a separator, and returns the bytes with it.
  ///
  /// - Parameters:
  ///   - separator: One byte or more.
  ///   - timeout: How long it may take; `nil` for as long as it takes.
  /// - Cancellation: Throws `CancellationError`; no byte is lost.
  /// - Throws: ``LimitOverrunError`` when more than ``limit`` bytes stand before the separator: nothing is used up;
  ///   ``IncompleteReadError`` when the stream ends before, with what had come; ``InvalidArgumentError`` for an empty
  ///   separator; else as ``read(upTo:timeout:)``.
  public func readUntil(_ separator: [UInt8], timeout: Duration? = nil) async throws -> [UInt8] {
    try await readUntil(anyOf: [separator], timeout: timeout)
  }

  /// Reads up to that of several separators which ends first, and returns the bytes with it; as
  /// ``readUntil(_:timeout:)`` in all else.
  public func readUntil(anyOf separators: [[UInt8]], timeout: Duration? = nil) async throws -> [UInt8] {
    let separators = try Separators(separators)
    try begin()
    defer { end() }
    guard let count = try await find(separators, timeout: timeout) else {
      throw IncompleteReadError(partial: take(buffer.count), expected: nil)
    }
    return take(count)
  }

  /// Reads up to a separator, and lends the bytes with it, without a copy; as ``readUntil(_:timeout:)`` in all else.
  ///
  /// - Parameters:
  ///   - separator: One byte or more.
  ///   - timeout: How long it may take; `nil` for as long as it takes.
  ///   - body: It does not read. The bytes are used up, also when it throws.
  public func readUntil<Result>(
    _ separator: [UInt8], timeout: Duration? = nil, _ body: (Span<UInt8>) throws -> Result
  ) async throws -> Result {
    let separators = try Separators([separator])
    try begin()
    defer { end() }
    guard let count = try await find(separators, timeout: timeout) else {
      throw IncompleteReadError(partial: take(buffer.count), expected: nil)
    }
    defer { use(count) }
    // SAFETY: the bytes stand there while `isReading`, and the span is only lent to the body.
    return try unsafe body(Span(_unsafeBytes: UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count])))
  }

  /// Reads a line, as text; what is no UTF-8 is repaired.
  ///
  /// - Parameters:
  ///   - strippingNewline: Whether the line ending, `\n` or `\r\n`, is left out.
  ///   - timeout: How long it may take; `nil` for as long as it takes.
  /// - Returns: The line; at the end of the stream the rest; `nil` when there is none.
  /// - Cancellation: Throws `CancellationError`; no byte is lost.
  /// - Throws: ``LimitOverrunError`` for a line that is longer than ``limit``: nothing is used up; else as
  ///   ``read(upTo:timeout:)``.
  public func readLine(strippingNewline: Bool = true, timeout: Duration? = nil) async throws -> String? {
    try begin()
    defer { end() }
    let count = try await findLine(timeout: timeout)
    if count == 0 { return nil }
    defer { use(count) }
    // SAFETY: the bytes stand there while `isReading`, and what is looked at is within them.
    let bytes = unsafe buffer.bytes
    var length = count
    if strippingNewline, unsafe bytes[length - 1] == UInt8(ascii: "\n") {
      length -= 1
      if length > 0, unsafe bytes[length - 1] == UInt8(ascii: "\r") { length -= 1 }
    }
    return unsafe String(decoding: bytes[..<length], as: UTF8.self)
  }

  /// Reads a line, as bytes with the newline; at the end of the stream the rest, then none. asyncio's `readline`. As
  /// ``readLine(strippingNewline:timeout:)`` in all else.
  public func readLineBytes(timeout: Duration? = nil) async throws -> [UInt8] {
    try begin()
    defer { end() }
    return take(try await findLine(timeout: timeout))
  }

  private func findLine(timeout: Duration?) async throws -> Int {
    try await find(.byte(UInt8(ascii: "\n")), timeout: timeout) ?? buffer.count
  }

  /// The number of bytes up to a separator and with it; `nil` when the stream ends before.
  private func find(_ separators: Separators, timeout: Duration?) async throws -> Int? {
    if stream.isLong { await stream.giveUpTurn() }
    stream.streak += 1
    var search = SeparatorSearch(for: separators, limit: limit)
    var deadline: Deadline?
    while true {
      // SAFETY: the bytes stand there for the length of the call.
      switch unsafe search.step(buffer.bytes) {
      case .found(let count): return count
      case .overrun: throw LimitOverrunError(consumed: limit + 1)
      case .missing:
        if deadline == nil { deadline = stream.deadline(after: timeout) }
        guard try await receiveMore(by: deadline) else { return nil }
      }
    }
  }
}
