// SPDX-License-Identifier: Apache-2.0
//
// Reading by the number of bytes.

extension StreamReader {
  /// Reads what has come, and waits only when there is nothing.
  ///
  /// - Parameters:
  ///   - count: At most so many bytes; 0 gives none, and does not wait.
  ///   - timeout: How long it may take; `nil` for as long as it takes.
  /// - Returns: At least one byte, or none at the end of the stream.
  /// - Cancellation: Throws `CancellationError`; no byte is lost.
  /// - Throws: ``InvalidArgumentError`` for a negative count; ``TimeoutError``; ``SystemError`` when the connection is
  ///   lost; ``DescriptorClosedError`` after it was closed; ``StreamStateError/alreadyReading``.
  public func read(upTo count: Int, timeout: Duration? = nil) async throws -> [UInt8] {
    try Self.check(count)
    try begin()
    defer { end() }
    if count == 0 { return [] }
    if buffer.isEmpty {
      guard try await receiveMore(by: stream.deadline(after: timeout)) else { return [] }
    } else if stream.isLong {
      await stream.giveUpTurn()
    }
    stream.streak += 1
    return take(min(count, buffer.count))
  }

  /// Reads all that comes, up to the end of the stream, however much that is.
  ///
  /// - Cancellation: Throws `CancellationError`; no byte is lost.
  /// - Throws: As ``read(upTo:timeout:)``.
  public func read(timeout: Duration? = nil) async throws -> [UInt8] {
    try begin()
    defer { end() }
    let deadline = stream.deadline(after: timeout)
    while try await receiveMore(by: deadline) {}
    return take(buffer.count)
  }

  /// Reads what has come into bytes of the caller's, without a copy where nothing was received before.
  ///
  /// ```swift
  /// var bytes = [UInt8](repeating: 0, count: 4_096)
  /// var span = bytes.mutableSpan
  /// let count = try await reader.read(into: &span)
  /// ```
  ///
  /// - Returns: The number of bytes, from the front; 0 at the end of the stream, and for no room.
  /// - Cancellation: Throws `CancellationError`; no byte is lost.
  /// - Throws: As ``read(upTo:timeout:)``.
  public func read(into bytes: inout MutableSpan<UInt8>, timeout: Duration? = nil) async throws -> Int {
    try begin()
    defer { end() }
    if bytes.isEmpty { return 0 }
    if buffer.isEmpty { return try await receive(into: &bytes, by: stream.deadline(after: timeout)) }
    if stream.isLong { await stream.giveUpTurn() }
    stream.streak += 1
    let count = min(bytes.count, buffer.count)
    // SAFETY: both have room for the count.
    unsafe bytes.withUnsafeMutableBytes { target in
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count]))
    }
    use(count)
    return count
  }

  /// Reads so many bytes, and waits until they are there. It may be more than the ``limit``.
  ///
  /// - Parameters:
  ///   - count: 0 gives none, and does not wait.
  ///   - timeout: How long it may take; `nil` for as long as it takes.
  /// - Cancellation: Throws `CancellationError`; no byte is lost.
  /// - Throws: ``IncompleteReadError`` when the stream ends before, with what had come; else as
  ///   ``read(upTo:timeout:)``.
  public func readExactly(_ count: Int, timeout: Duration? = nil) async throws -> [UInt8] {
    try Self.check(count)
    try begin()
    defer { end() }
    if stream.isLong { await stream.giveUpTurn() }
    let deadline = buffer.count < count ? stream.deadline(after: timeout) : nil
    while buffer.count < count {
      guard try await receiveMore(by: deadline) else {
        throw IncompleteReadError(partial: take(buffer.count), expected: count)
      }
    }
    stream.streak += 1
    return take(count)
  }

  private static func check(_ count: Int) throws {
    guard count >= 0 else { throw InvalidArgumentError("StreamReader: \(count) bytes are asked for; give 0 or more") }
  }
}
