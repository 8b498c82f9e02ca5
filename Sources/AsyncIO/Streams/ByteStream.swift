// SPDX-License-Identifier: Apache-2.0
//
// The one owner of a stream's descriptor: what its halves share, and its end.

import Glibc
import SystemPackage

/// A byte stream over a socket, or over one end of a pipe.
///
/// The loop holds it from the beginning to the end, so what is queued is sent when nobody holds the halves any more.
///
/// Invariant, and the reason for `@unchecked Sendable`: all of it belongs to the thread that holds the loop. `socket` is
/// there until the life is `.closed`; before it goes, both interests have ended, and afterwards the number is not used.
@safe final class ByteStream: LoopDependent, @unchecked Sendable {
  enum Kind { case socket, pipe }

  enum Life { case open, closing, closed }

  /// How far the writing side is: it moves downwards only.
  enum Writing {
    case open
    /// What is queued is sent, and then the end.
    case finishing
    case finished
    case failed(any Error)
  }

  // First what each request touches: with many connections, a line of memory more is a miss of the cache more.
  let loop: EventLoop
  let readable: ReadinessWait
  let calls: any SystemCalls
  let rawValue: Int32
  let kind: Kind
  private(set) var life = Life.open
  /// Whether the queue has passed the high-water mark, and is not below the low one again.
  var isFull = false
  /// The calls since its task was suspended last, and what they have moved: 4 KiB count as one more.
  var streak = 0
  var writing = Writing.open
  // SAFETY: no access finds another one begun: what is called meanwhile is the kernel, and that with a copy.
  @exclusivity(unchecked) private var uncheckedQueue = WriteQueue()

  /// Where it was made, for reports.
  private let site: CreationSite
  private var socket: OwnedSocket?
  /// The error that the stream, or its writing side, was lost by: the first one.
  var failure: (any Error)?
  var highWaterMark: Int
  var lowWaterMark: Int
  var writeWatch: (any Watch)?
  var isWriteWatchResting = false
  /// Sends again, after the kernel had no memory for it.
  var sendTimer: TimerID?
  private var backoff = Backoff()
  var waitingForRoom: WaitQueue?
  private var waitingForClose: WaitQueue?

  /// The halves that somebody holds.
  private var halves: Int
  private var knownAddresses: [SocketAddress?] = []

  init(
    owning socket: consuming OwnedSocket, _ kind: Kind, halves: Int, _ options: StreamOptions, _ site: CreationSite,
    on loop: isolated EventLoop
  ) throws {
    try options.requireValid()
    guard !loop.isClosing else { throw LoopClosedError() }
    self.loop = loop
    self.kind = kind
    self.site = site
    self.halves = halves
    calls = socket.calls
    rawValue = socket.rawValue
    readable = ReadinessWait(socket.descriptor, .readable, isOwned: true, on: loop)
    highWaterMark = options.highWaterMark
    lowWaterMark = options.lowWaterMark
    self.socket = consume socket
    loop.hold(self)
  }

  var queue: WriteQueue {
    _read { yield unsafe uncheckedQueue }
    _modify { yield unsafe &uncheckedQueue }
  }

  // MARK: Receiving

  /// Receives what is there; `nil` when the stream has to be waited for. An error is the stream's end.
  func receive(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
    guard life == .open else { throw failure ?? DescriptorClosedError() }
    let count: Int
    do throws(Errno) {
      // SAFETY: the buffer is the caller's for the length of the call; the descriptor is open, by the invariant.
      count =
        switch kind {
        case .socket: try unsafe calls.receive(rawValue, into: buffer)
        case .pipe: try unsafe calls.read(rawValue, into: buffer)
        }
    } catch {
      if error.isPassing {
        noteCall(of: 0)
        if error == .noBufferSpace { readable.rest(for: nextPause()) }
        return nil
      }
      let error = SystemError(error, in: kind == .socket ? "recv" : "read")
      end(error)
      throw error
    }
    noteCall(of: count)
    // The kernel tells of a reset once: when a send was told, the end that is found here is none of the peer's making.
    if count == 0, let loss = failure as? SystemError, loss.errno.isLossOfConnection {
      end(loss)
      throw loss
    }
    return count
  }

  /// How long to leave the kernel alone, which has no memory for a call (`ENOBUFS`). It may call the descriptor ready all
  /// the same, so the end of that is found by trying again.
  func nextPause() -> Duration { backoff.next(at: loop.timeSource.now) }

  // MARK: Turns

  /// When a wait ends that begins now.
  func deadline(after timeout: Duration?) -> Deadline? {
    timeout.map { loop.timeSource.now.advanced(by: $0) }
  }

  /// A call has moved so many bytes, which takes about as long as a call without any for each page of them.
  func noteCall(of count: Int) { streak += 1 + count >> 12 }

  /// Whether the calls go on for so long already that others are to have their turn.
  var isLong: Bool { streak >= Self.longestStreak }

  private static let longestStreak = 128

  /// Gives the turn to the others. No point of cancellation: nothing is left half done by it.
  func giveUpTurn() async {
    streak = 0
    await Task.yield()
  }

  // MARK: The end

  /// Closes now, and tells the peer that it was no end: `ECONNRESET`, over TCP.
  func abort() { end(nil, resetting: true) }

  /// Sends what is queued, then closes. Reading ends now.
  func close() {
    guard life == .open else { return }
    life = .closing
    readable.end()
    if queue.isEmpty { end(nil) }
  }

  /// Closes now. Idempotent.
  ///
  /// A peer whose bytes are lost by it is told so, where that can be: it gets a reset, and not the end of the stream.
  func end(_ error: (any Error)?, resetting: Bool = false) {
    guard life != .closed else { return }
    life = .closed
    failure = failure ?? error
    readable.end()
    if kind == .socket, resetting || !queue.isEmpty {
      // Without effect on a Unix socket. If it fails, the connection is lost already.
      try? calls.setOption(rawValue, SOL_SOCKET, SO_LINGER, to: 0)
    }
    // Those who wait for it to be sent are told that it never will be.
    if !queue.isEmpty { loseQueue(error ?? DescriptorClosedError()) }
    dropQueue()
    socket = nil
    waitingForClose?.wakeAll()
    loop.assumeIsolated { $0.release(self) }
  }

  func untilClosed(by deadline: Deadline?) async throws {
    while life != .closed { try await waitingForClose.made.wait(on: loop.executor, until: deadline) }
    if let failure { throw failure }
  }

  func loopIsClosing() { end(LoopClosedError()) }

  var openThing: OpenThing? {
    let name = kind == .socket ? "a connection" : "a stream over a pipe"
    let state = life == .closing ? ", whose queue is not sent" : ""
    return OpenThing(
      .connection, "\(name), descriptor \(rawValue)\(state)", site: "\(site)", descriptors: [rawValue])
  }

  /// One of the halves is released. Any thread.
  func halfIsGone() {
    // On a closed loop there is nothing left to do.
    if loop.executor.isHeldByThisThread { return noteHalfIsGone() }
    _ = loop.executor.onLoop { [self] in noteHalfIsGone() }
  }

  private func noteHalfIsGone() {
    halves -= 1
    guard halves == 0, life == .open else { return }
    if failure == nil && !loop.isClosing {
      loop.assumeIsolated {
        $0.reportException(
          ExceptionContext(
            .connectionNotClosed,
            "a stream was released without close() or abort(); it is closed now",
            creationSite: $0.debug ? "\(site)" : nil))
      }
    }
    // At once, whatever is queued: nobody is left who could end a stream whose peer does not read.
    end(nil)
  }

  // MARK: Addresses

  enum Side: Int { case local, peer }

  /// What the kernel says, which is asked once; after the end, what was known before.
  func address(_ side: Side) -> SocketAddress? {
    if knownAddresses.isEmpty { knownAddresses = [nil, nil] }
    if let known = knownAddresses[side.rawValue] { return known }
    guard life != .closed else { return nil }
    let address =
      switch side {
      case .local: try? calls.localAddress(rawValue)
      case .peer: try? calls.peerAddress(rawValue)
      }
    if address?.isUnnamed == true { return nil }
    knownAddresses[side.rawValue] = address
    return address
  }
}

extension ByteStream {
  /// Whether an error is the loss of this stream, told by one of its calls. On a Unix socket a send may tell it in other
  /// words (`EPIPE`) than a receive does.
  func isLost(by error: any Error) -> Bool {
    guard failure != nil, let error = error as? SystemError else { return false }
    return error.errno.isLossOfConnection || error.errno == .brokenPipe
  }
}

extension Errno {
  /// Of a call on a connection that is no more, other than by the end of the peer's side: the peer has reset it, or the
  /// network has.
  var isLossOfConnection: Bool {
    switch self {
    case .connectionReset, .connectionAbort, .timedOut, .noRouteToHost, .hostIsDown, .networkUnreachable, .networkDown,
      .networkReset:
      true
    default: false
    }
  }

  /// Of a call that may succeed later, when the descriptor is ready.
  var isPassing: Bool {
    switch self {
    case .resourceTemporarilyUnavailable, .interrupted, .noBufferSpace: true
    default: false
    }
  }
}
