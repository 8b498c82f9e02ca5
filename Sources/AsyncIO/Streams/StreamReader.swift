// SPDX-License-Identifier: Apache-2.0
//
// The reading half of a stream: what was received and not read, and how more is waited for.

/// What comes from the peer, byte by byte in order. asyncio's `StreamReader`.
///
/// ```swift
/// let header = try await reader.readExactly(4)
/// let line = try await reader.readLine(timeout: .seconds(30))
/// for try await chunk in reader.chunks { … }
/// ```
///
/// It receives only while somebody reads, so a peer that sends more than is read is held back. It keeps no memory while
/// nothing is there to be read.
///
/// Each call that waits takes a `timeout` for the whole of it, and throws ``TimeoutError`` when that has passed. **Neither a
/// timeout nor a cancel loses a byte**: what had come is there for the next call. One task reads at a time: a second one
/// gets ``StreamStateError/alreadyReading``. An error of the connection is thrown when what came before it was read.
///
/// Invariant: `mayHaveMore` only when the last call filled all room there was.
public final class StreamReader {
  /// How many bytes may stand before a separator.
  public let limit: Int

  let stream: ByteStream
  private let blocks: BlockPool
  // SAFETY: no access finds another one begun: what is called meanwhile is the pool. (The check costs 10 ns, and a read
  // has eight.)
  @exclusivity(unchecked) private var uncheckedBuffer = ReadBuffer()
  private var hasEnded = false
  private var isReading = false
  private var mayHaveMore = false

  init(over stream: ByteStream, limit: Int) {
    self.stream = stream
    self.limit = limit
    blocks = stream.loop.executor.blocks
  }

  /// Takes over the end of a pipe that can be read from, and is non-blocking.
  ///
  /// - Throws: ``InvalidArgumentError`` for options that cannot be; ``LoopClosedError``. The descriptor is closed then.
  package convenience init(
    owningPipe descriptor: consuming OwnedSocket, options: StreamOptions = StreamOptions(),
    site: CreationSite = CreationSite(#fileID, #line), on loop: isolated EventLoop
  ) throws {
    let stream = try ByteStream(owning: descriptor, .pipe, halves: 1, options, site, on: loop)
    self.init(over: stream, limit: options.limit)
  }

  deinit { stream.halfIsGone() }

  /// Whether the peer has ended its side, and all was read. asyncio's `at_eof`.
  public var atEOF: Bool { hasEnded && buffer.isEmpty }

  /// How many bytes were received, and wait to be read.
  public var bufferedCount: Int { buffer.count }

  /// Closes the whole stream: as ``Connection/close()``.
  public func close() { stream.close() }

  // MARK: For parsers

  /// Receives more than what is buffered now.
  ///
  /// With ``consume(_:)``, for parsers of records that no separator ends:
  ///
  /// ```swift
  /// while try await reader.fill() {
  ///   try reader.consume { bytes in try parser.parse(bytes) }     // returns how many bytes it has used up
  /// }
  /// ```
  ///
  /// - Returns: `false` at the end of the stream.
  /// - Cancellation: Throws `CancellationError`; no byte is lost.
  /// - Throws: ``LimitOverrunError`` when more than ``limit`` bytes are buffered, and nobody uses them up;
  ///   ``TimeoutError``; ``SystemError`` when the connection is lost; ``DescriptorClosedError`` after it was closed.
  public func fill(timeout: Duration? = nil) async throws -> Bool {
    try begin()
    defer { isReading = false }
    guard buffer.count <= limit else { throw LimitOverrunError(consumed: buffer.count) }
    return try await receiveMore(by: stream.deadline(after: timeout))
  }

  /// Lends what is buffered, without a copy.
  ///
  /// - Parameter body: Returns how many bytes it has used up, from the front: none when it throws. It does not read.
  public func consume(_ body: (Span<UInt8>) throws -> Int) throws {
    try begin()
    defer { isReading = false }
    // SAFETY: the bytes stand there while `isReading`, and the span is only lent to the body.
    let count = try unsafe body(Span(_unsafeBytes: buffer.bytes))
    guard (0...buffer.count).contains(count) else {
      throw InvalidArgumentError("StreamReader.consume: \(count) of \(buffer.count) bytes are said to be used up")
    }
    use(count)
  }

  // MARK: Within the reader

  var buffer: ReadBuffer {
    _read { yield unsafe uncheckedBuffer }
    _modify { yield unsafe &uncheckedBuffer }
  }

  /// Begins a call that reads; `end()` ends it.
  func begin() throws {
    if isReading { throw StreamStateError.alreadyReading }
    isReading = true
  }

  func end() { isReading = false }

  /// Receives something into the buffer, and waits for it.
  ///
  /// - Returns: `false` at the end of the stream.
  @inline(__always)
  func receiveMore(by deadline: Deadline?) async throws -> Bool {
    while !hasEnded {
      if !mayHaveMore || stream.isLong { try await untilReadable(by: deadline) }
      if let count = try receiveNow() { return count > 0 }
    }
    return false
  }

  @inline(never)
  private func receiveNow() throws -> Int? {
    let room = unsafe buffer.room(from: blocks)
    var count: Int?
    // SAFETY: the room is the buffer's, which nobody touches during the call.
    defer { buffer.received(count ?? 0, to: blocks) }
    count = unsafe try stream.receive(into: room)
    return note(count, of: room.count)
  }

  /// Receives into the caller's bytes, and waits; 0 at the end of the stream.
  func receive(into bytes: inout MutableSpan<UInt8>, by deadline: Deadline?) async throws -> Int {
    while !hasEnded {
      if !mayHaveMore || stream.isLong { try await untilReadable(by: deadline) }
      // SAFETY: the bytes are the caller's for the length of the call.
      let count = unsafe try bytes.withUnsafeMutableBytes { unsafe try stream.receive(into: $0) }
      if let count = note(count, of: bytes.count) { return count }
    }
    return 0
  }

  @inline(__always)
  private func untilReadable(by deadline: Deadline?) async throws {
    mayHaveMore = false
    buffer.shrink(to: blocks)
    do {
      try await stream.readable.untilReady(by: deadline)
    } catch let error as DescriptorClosedError {
      throw stream.failure ?? error
    }
    stream.streak = 0
  }

  private func note(_ count: Int?, of room: Int) -> Int? {
    guard let count else {
      mayHaveMore = false
      return nil
    }
    // Where there was room left, the kernel had no more: to ask again would cost a call that gets nothing.
    mayHaveMore = count == room
    if count == 0 {
      hasEnded = true
      stream.readable.end()
    }
    return count
  }

  /// Takes bytes out of the buffer.
  func take(_ count: Int) -> [UInt8] { buffer.takeFirst(count, to: blocks) }

  /// Drops bytes out of the buffer that were used.
  func use(_ count: Int) { buffer.removeFirst(count, to: blocks) }
}
