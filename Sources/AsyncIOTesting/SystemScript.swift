// SPDX-License-Identifier: Apache-2.0
//
// What a test says of the kernel: which calls fail, and how little they do at a time.

import AsyncIO
public import SystemPackage

extension TestLoop {
  /// A system call that a loop makes for its descriptors, or for their readiness.
  public enum SystemCall: String, Sendable, Hashable, CaseIterable {
    /// `socket(2)`.
    case socket
    /// `setsockopt(2)`.
    case setOption = "setsockopt"
    /// `getsockopt(2)`.
    case option = "getsockopt"
    /// `bind(2)`.
    case bind
    /// `listen(2)`.
    case listen
    /// `connect(2)`.
    case connect
    /// `accept4(2)`.
    case accept = "accept4"
    /// `getsockname(2)`.
    case localAddress = "getsockname"
    /// `getpeername(2)`.
    case peerAddress = "getpeername"
    /// `shutdown(2)`.
    case shutdown
    /// `recv(2)`.
    case receive = "recv"
    /// `send(2)` and `sendmsg(2)`.
    case send
    /// `read(2)`.
    case read
    /// `write(2)`.
    case write
    /// `recvmsg(2)`.
    case receiveDatagram = "recvmsg"
    /// `sendto(2)`.
    case sendDatagram = "sendto"
    /// `epoll_ctl(2)`, where it begins to watch a descriptor, or does so again after a pause. (`ENOMEM`, `ENOSPC`.)
    case watch = "epoll_ctl"
    /// `epoll_wait(2)`. Whatever it fails with, it ends without a word of what is ready, as one that a signal interrupts
    /// does. A loop waits, or looks, once in each turn.
    case wait = "epoll_wait"
  }

  /// Calls that fail.
  ///
  /// `EINTR` is what the loop's calls make of it, and nobody above them sees: a call that a signal interrupts is made
  /// again, and does what it does; a `connect` goes on in the background.
  public struct Fault: Sendable, Hashable, CustomStringConvertible {
    /// Which call; `nil` for any.
    public var call: SystemCall?

    /// The first that fails, counted from 1: among the calls of that kind, or among all.
    public var number: Int

    /// How many fail, one after the other.
    public var count: Int

    /// With what.
    public var error: Errno

    /// The k-th call fails, and so do those after it, as many as `count` says.
    public init(_ call: SystemCall? = nil, number: Int = 1, count: Int = 1, error: Errno) {
      self.call = call
      self.number = number
      self.count = count
      self.error = error
    }

    /// The call, its number, and the error: `recv 3: Connection reset by peer`.
    public var description: String {
      "\(call?.rawValue ?? "call") \(number)\(count == 1 ? "" : " and later, \(count) of them"): \(error)"
    }

    /// Whether it makes a call fail, the so-many-th of its kind and of all.
    func concerns(_ call: SystemCall, number ofKind: Int, ofAll all: Int) -> Bool {
      guard self.call == nil || self.call == call else { return false }
      let number = self.call == nil ? all : ofKind
      return number >= self.number && number - self.number < count
    }
  }

  /// How the kernel behaves.
  public struct SystemScript: Sendable, Hashable {
    /// Whether reads and writes do less than they could: how much, the seed says.
    public var isSplitting = false

    /// How many of a hundred reads, writes and accepts say that they would block, though they would not. 0 to 99.
    public var percentOfWouldBlock = 0

    /// How many of a hundred waits say of a descriptor that it can be read, or has somebody to accept, though nothing has
    /// come: `select(2)` warns of that. The seed chooses which. 0 to 99.
    public var percentOfFalseReadiness = 0

    /// The calls that fail.
    public var faults: [Fault] = []

    /// A kernel without malice.
    public init() {}
  }

  /// A network in memory, in the place of the kernel's sockets.
  ///
  /// Client and server run on one loop, and what the one sends reaches the other on the loop's time. Names of addresses are
  /// as ever: any that is not listened on, refuses.
  public struct Network: Sendable, Hashable {
    /// How long what is sent is on its way: the seed chooses.
    public var latency: ClosedRange<Duration> = .milliseconds(1) ... .milliseconds(1)

    /// How many bytes may be on their way, and unread, in one direction of a connection.
    public var capacity = 65_536

    /// How many of a thousand sends are the last of their connection: it is lost, for both sides.
    public var resetsPerThousand = 0

    /// A network that loses nothing, and takes a millisecond.
    public init() {}
  }
}

/// The script of a run, as it is played.
final class ScriptedKernel: Sendable {
  private struct State {
    var generator: SplitMix64
    var count = 0
    var counts: [TestLoop.SystemCall: Int] = [:]
    var fired: [TestLoop.SystemCall] = []
    var isSweptReached = false
  }

  private let script: TestLoop.SystemScript
  private let swept: TestLoop.Fault?
  private let state: Locked<State>

  /// - Parameters:
  ///   - script: What the test says of the kernel.
  ///   - swept: One fault more, which is asked about afterwards. The script's faults go before it.
  init(_ script: TestLoop.SystemScript, sweeping swept: TestLoop.Fault? = nil, seed: UInt64) {
    self.script = script
    self.swept = swept
    state = Locked(State(generator: SplitMix64(state: seed ^ 0x5ca1_ab1e)))
  }

  /// The calls that the swept fault made to fail.
  var fired: [TestLoop.SystemCall] { state.withLock { $0.fired } }

  /// Whether so many calls were made that the swept fault has had its turn, though the script may have been before it.
  var isSweptReached: Bool { state.withLock { $0.isSweptReached } }

  /// Counts a call, and throws what it is to throw.
  ///
  /// - Returns: Whether a signal has interrupted the call, which is repeated.
  @discardableResult
  func check(_ call: TestLoop.SystemCall, mayBlock: Bool = false) throws(Errno) -> Bool {
    let error: Errno? = state.withLock { state in
      state.count += 1
      state.counts[call, default: 0] += 1
      let (all, ofKind) = (state.count, state.counts[call] ?? 0)
      let isSwept = swept?.concerns(call, number: ofKind, ofAll: all) == true
      if isSwept { state.isSweptReached = true }
      if let fault = script.faults.first(where: { $0.concerns(call, number: ofKind, ofAll: all) }) {
        return fault.error
      }
      if isSwept, let swept {
        state.fired.append(call)
        return swept.error
      }
      guard mayBlock, script.percentOfWouldBlock > 0 else { return nil }
      return happens(script.percentOfWouldBlock, &state) ? .resourceTemporarilyUnavailable : nil
    }
    if let error, error != .interrupted { throw error }
    return error == .interrupted
  }

  /// Whether a wait for readiness ends without a word of it.
  func endsWaitEarly() -> Bool {
    do throws(Errno) { return try check(.wait) } catch { return true }
  }

  /// Which one of so many descriptors is said to be ready, though nothing has come; `nil` for none.
  func falseReadiness(among count: Int) -> Int? {
    guard count > 0 else { return nil }
    return state.withLock { state in
      guard happens(script.percentOfFalseReadiness, &state) else { return nil }
      return Int(state.generator.next() % UInt64(count))
    }
  }

  /// Whether a mishap of so many percent happens now. There is always a call that goes well, some time.
  private func happens(_ percent: Int, _ state: inout State) -> Bool {
    state.generator.next() % 100 < UInt64(min(max(0, percent), 99))
  }

  /// Whether there may be such.
  var hasFalseReadiness: Bool { script.percentOfFalseReadiness > 0 }

  /// How much of what could be done at once is done: some, or all.
  func portion(of count: Int) -> Int {
    guard script.isSplitting, count > 1 else { return count }
    return state.withLock { state in
      switch state.generator.next() % 4 {
      case 0: count
      case 1: 1
      default: 1 + Int(state.generator.next() % UInt64(count))
      }
    }
  }
}
