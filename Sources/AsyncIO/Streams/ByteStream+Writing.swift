// SPDX-License-Identifier: Apache-2.0
//
// The writing side of a stream: at once, as long as the kernel has room; and by a queue, when it has none.

import Glibc
import SystemPackage

extension ByteStream {
  // MARK: Sending

  /// Sends some bytes now, if none are queued.
  ///
  /// - Returns: How many were taken, from the front.
  func sendNow(_ bytes: UnsafeRawBufferPointer) throws -> Int {
    try checkWriting()
    guard unsafe queue.isEmpty && !bytes.isEmpty else { return 0 }
    return try reporting(kind == .socket ? "send" : "write") { () throws(Errno) in
      // SAFETY: the bytes are the caller's for the length of the call; the descriptor is open, since the life is.
      switch kind {
      case .socket: try unsafe calls.send(rawValue, bytes)
      case .pipe: try unsafe calls.write(rawValue, bytes)
      }
    }
  }

  /// Sends from the queue, as much as one call takes.
  func sendQueued() throws {
    let sent = try reporting(kind == .socket ? "sendmsg" : "write") { () throws(Errno) in
      let most = kind == .socket ? WriteQueue.mostPieces : 1
      // Of a copy, which shares the pieces: an access that lasts over the call would be tracked by the runtime.
      let queue = queue
      return try unsafe queue.withPieces(atMost: most) { (pieces) throws(Errno) in
        // SAFETY: the pieces are the queue's for the length of the call; the descriptor as above.
        switch (kind, pieces.count) {
        case (.socket, 1): try unsafe calls.send(rawValue, pieces[0])
        case (.socket, _): try unsafe calls.send(rawValue, pieces)
        case (.pipe, _): try unsafe calls.write(rawValue, pieces[0])
        }
      }
    }
    queue.removeFirst(sent)
  }

  /// Makes a call that sends; no room is 0. An error is the end of the writing side.
  private func reporting(_ call: String, _ body: () throws(Errno) -> Int) throws -> Int {
    do throws(Errno) {
      let count = try body()
      noteCall(of: count)
      return count
    } catch {
      noteCall(of: 0)
      if error.isPassing {
        if error == .noBufferSpace { restFromSending() }
        return 0
      }
      let error = SystemError(error, in: call)
      failWriting(error)
      throw error
    }
  }

  // MARK: The queue

  func checkWriting() throws {
    switch writing {
    case .failed(let error): throw error
    case _ where life != .open: throw failure ?? DescriptorClosedError()
    case .open: return
    case .finishing, .finished: throw StreamStateError.writingEnded
    }
  }

  /// Bytes were queued: they are sent as there is room.
  ///
  /// - Returns: Whether there is room for more.
  func hasQueued() throws -> Bool {
    if queue.count > highWaterMark { isFull = true }
    if queue.isEmpty { return true }
    do {
      try watchWritability()
    } catch {
      failWriting(error)
      throw error
    }
    return !isFull
  }

  func marksHaveChanged() {
    guard life != .closed else { return }
    if queue.count > highWaterMark { isFull = true }
    afterSending()
  }

  private func watchWritability() throws { try loop.assumeIsolated { try watchWritability(on: $0) } }

  private func watchWritability(on loop: isolated EventLoop) throws {
    if sendTimer != nil { return }
    guard let writeWatch else {
      // Unowned: the watch ends before this object.
      writeWatch = try loop.backend.watch(FileDescriptor(rawValue: rawValue), for: .writable, isOwned: true) {
        [unowned self] in becameWritable()
      }
      return
    }
    if isWriteWatchResting {
      try writeWatch.resume()
      isWriteWatchResting = false
    }
  }

  /// Sends again after a while: see `nextPause()`.
  private func restFromSending() {
    if let writeWatch {
      isWriteWatchResting = true
      writeWatch.pause()
    }
    guard sendTimer == nil else { return }
    sendTimer = loop.executor.timers.arm(at: loop.timeSource.now.advanced(by: nextPause())) { [self] in
      sendTimer = nil
      sendAfterRest()
    }
  }

  private func sendAfterRest() {
    // An error has ended the writing side, and who writes is told.
    guard (try? sendQueued()) != nil else { return }
    afterSending()
    if !queue.isEmpty { _ = try? hasQueued() }
  }

  private func becameWritable() {
    // The watch, whose notice this is, may end meanwhile.
    let watch = writeWatch
    defer { withExtendedLifetime(watch) {} }
    if queue.isEmpty {
      // Not earlier: who writes on at once needs no new interest.
      isWriteWatchResting = true
      watch?.pause()
      return
    }
    // An error has ended the writing side, and who writes is told.
    guard (try? sendQueued()) != nil else { return }
    afterSending()
  }

  /// Some of the queue may have gone.
  func afterSending() {
    if queue.count <= lowWaterMark, isFull {
      isFull = false
      waitingForRoom?.wakeAll()
    }
    guard queue.isEmpty else { return }
    if life == .closing { return end(nil) }
    if case .finishing = writing { shutDownWriting() }
  }

  func finishWriting() {
    guard case .open = writing, life == .open else { return }
    if kind == .pipe { return close() }
    writing = .finishing
    if queue.isEmpty { shutDownWriting() }
  }

  private func shutDownWriting() {
    writing = .finished
    do throws(Errno) {
      try calls.shutdown(rawValue, Int32(SHUT_WR))
    } catch {
      // The peer is gone, which the next read tells.
      writing = .failed(SystemError(error, in: "shutdown"))
    }
    waitingForRoom?.wakeAll()
  }

  private func failWriting(_ error: any Error) {
    writing = .failed(error)
    failure = failure ?? error
    dropQueue()
    if life == .closing { end(error) }
  }

  /// What is queued is lost by the end of the stream.
  func loseQueue(_ error: any Error) {
    if case .failed = writing { return }
    writing = .failed(error)
  }

  func dropQueue() {
    queue.removeAll()
    isFull = false
    writeWatch?.end()
    writeWatch = nil
    if let timer = sendTimer.take() { _ = loop.executor.timers.cancel(timer) }
    waitingForRoom?.wakeAll()
  }

  /// Waits until the queue is below its low-water mark, if it was above the high one.
  func untilRoom(by deadline: Deadline?) async throws {
    while isFull {
      try await waitingForRoom.made.wait(on: loop.executor, until: deadline)
      streak = 0
    }
    if case .failed(let error) = writing { throw error }
    if life == .closed, let failure { throw failure }
  }
}
