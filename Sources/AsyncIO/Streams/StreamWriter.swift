// SPDX-License-Identifier: Apache-2.0
//
// The writing half of a stream.

/// What goes to the peer, in the order of the calls. asyncio's `StreamWriter`.
///
/// ```swift
/// try await writer.write("HTTP/1.1 200 OK\r\n\r\n")
/// try await writer.write(body)
/// writer.closeWriting()
/// ```
///
/// A write sends at once, as much as the kernel has room for, and queues the rest. **It waits by itself** while more than
/// the high-water mark is queued, so a peer that reads slowly holds back whoever writes to it.
///
/// Any number of tasks may write: the bytes of one write stay together. A write takes all of its bytes or, when it throws
/// because the stream has ended, is lost with it. A cancel or a timeout ends the wait that follows, and takes nothing back:
/// the bytes will be sent.
public final class StreamWriter {
  let stream: ByteStream

  init(over stream: ByteStream) {
    self.stream = stream
  }

  /// Takes over the end of a pipe that can be written to, and is non-blocking.
  ///
  /// - Throws: ``InvalidArgumentError`` for options that cannot be; ``LoopClosedError``. The descriptor is closed then.
  package convenience init(
    owningPipe descriptor: consuming OwnedSocket, options: StreamOptions = StreamOptions(),
    site: CreationSite = CreationSite(#fileID, #line), on loop: isolated EventLoop
  ) throws {
    self.init(over: try ByteStream(owning: descriptor, .pipe, halves: 1, options, site, on: loop))
  }

  deinit { stream.halfIsGone() }

  // MARK: Writing

  /// Writes bytes, and waits while too many are queued. What is queued of an array is not copied, if it is large.
  ///
  /// - Parameters:
  ///   - bytes: Any number.
  ///   - timeout: How long it may wait; `nil` for as long as it takes.
  /// - Cancellation: Ends the wait with `CancellationError`; the bytes will be sent.
  /// - Throws: ``SystemError`` when the connection is lost; ``DescriptorClosedError`` after `close()`,
  ///   ``StreamStateError/writingEnded`` after ``closeWriting()``, and nothing is written; ``TimeoutError``.
  public func write(_ bytes: [UInt8], timeout: Duration? = nil) async throws {
    if try !writeNow(bytes) || stream.isLong { try await wait(timeout) }
  }

  /// Writes text, as UTF-8; as ``write(_:timeout:)-([UInt8],_)`` in all else.
  public func write(_ text: String, timeout: Duration? = nil) async throws {
    if try !writeNow(text) || stream.isLong { try await wait(timeout) }
  }

  /// Writes bytes that the caller keeps: what is queued of them is copied; as ``write(_:timeout:)-([UInt8],_)`` in all
  /// else.
  public func write(_ bytes: Span<UInt8>, timeout: Duration? = nil) async throws {
    if try !writeNow(bytes) || stream.isLong { try await wait(timeout) }
  }

  /// Writes several pieces, one after the other, by as few system calls as can be; as
  /// ``write(_:timeout:)-([UInt8],_)`` in all else. asyncio's `writelines`.
  public func write(_ pieces: [[UInt8]], timeout: Duration? = nil) async throws {
    if try !writeNow(pieces) || stream.isLong { try await wait(timeout) }
  }

  // MARK: Writing without a wait

  /// Takes bytes to be sent, and never waits: for one who writes to many, and waits for none.
  ///
  /// - Returns: `false` when more than the high-water mark is queued: ``drain(timeout:)`` before you write more, or
  ///   give up a peer that does not read.
  /// - Throws: As ``write(_:timeout:)-([UInt8],_)``, except for its wait.
  @discardableResult
  public func writeNow(_ bytes: [UInt8]) throws -> Bool {
    // SAFETY: the bytes are the array's for the length of the call.
    let sent = unsafe try bytes.withUnsafeBytes { unsafe try stream.sendNow($0) }
    if sent == bytes.count { return !stream.isFull }
    stream.queue.append(bytes, from: sent)
    return try stream.hasQueued()
  }

  /// The same, of text as UTF-8.
  @discardableResult
  public func writeNow(_ text: String) throws -> Bool {
    var text = text
    return try text.withUTF8 { unsafe try writeNow(UnsafeRawBufferPointer($0)) }
  }

  /// The same, of bytes that the caller keeps.
  @discardableResult
  public func writeNow(_ bytes: Span<UInt8>) throws -> Bool {
    // SAFETY: the bytes are the caller's for the length of the call.
    unsafe try bytes.withUnsafeBytes { unsafe try writeNow($0) }
  }

  private func writeNow(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
    let sent = unsafe try stream.sendNow(bytes)
    if sent == bytes.count { return !stream.isFull }
    unsafe stream.queue.append(copying: UnsafeRawBufferPointer(rebasing: bytes[sent...]))
    return try stream.hasQueued()
  }

  /// The same, of several pieces, one after the other.
  @discardableResult
  public func writeNow(_ pieces: [[UInt8]]) throws -> Bool {
    try stream.checkWriting()
    let isFirst = stream.queue.isEmpty
    for piece in pieces { stream.queue.append(piece) }
    if isFirst && !stream.queue.isEmpty { try stream.sendQueued() }
    return try stream.hasQueued()
  }

  // MARK: The queue

  /// Waits until the queue is below its low-water mark, if it was above the high one; else returns at once.
  ///
  /// - Cancellation: Ends this wait alone.
  /// - Throws: ``SystemError`` when the connection is lost, each time; ``TimeoutError``.
  public func drain(timeout: Duration? = nil) async throws {
    try await stream.untilRoom(by: stream.isFull ? stream.deadline(after: timeout) : nil)
  }

  /// How many bytes wait to be sent.
  public var queuedCount: Int { stream.queue.count }

  /// The marks between which the queue fills and empties: as in ``StreamOptions``.
  public var waterMarks: (low: Int, high: Int) { (stream.lowWaterMark, stream.highWaterMark) }

  /// Changes the marks. asyncio's `set_write_buffer_limits`.
  ///
  /// - Throws: ``InvalidArgumentError`` unless 0 ≤ low ≤ high; then nothing changes.
  public func setWaterMarks(low: Int, high: Int) throws(InvalidArgumentError) {
    var options = StreamOptions()
    options.lowWaterMark = low
    options.highWaterMark = high
    try options.requireValid()
    stream.lowWaterMark = low
    stream.highWaterMark = high
    stream.marksHaveChanged()
  }

  private func wait(_ timeout: Duration?) async throws {
    if stream.isFull {
      try await drain(timeout: timeout)
    } else if stream.isLong {
      await stream.giveUpTurn()
    }
  }

  // MARK: The end

  /// Ends the writing side: the peer gets what is queued, and then the end of the stream. Reading goes on. asyncio's
  /// `write_eof`. Of a pipe it is ``close()``. Idempotent.
  public func closeWriting() { stream.finishWriting() }

  /// Closes the whole stream after what is queued was sent: as ``Connection/close()``.
  public func close() { stream.close() }

  /// Closes the whole stream now: as ``Connection/abort()``.
  public func abort() { stream.abort() }

  /// Waits until the stream is closed: as ``Connection/waitClosed(timeout:)``.
  public func waitClosed(timeout: Duration? = nil) async throws {
    try await stream.untilClosed(by: stream.deadline(after: timeout))
  }
}
