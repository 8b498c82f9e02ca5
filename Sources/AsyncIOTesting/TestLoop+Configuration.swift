// SPDX-License-Identifier: Apache-2.0
//
// What can be said about a loop under test.

public import AsyncIO

extension TestLoop {
  /// How the time of a test moves.
  public enum Time: Sendable, Hashable {
    /// It stands still while there is work, and jumps to the next deadline when every task waits.
    case autojump
    /// It moves only when the test says so: ``AsyncIO/EventLoop/advance(by:)``.
    case manual
    /// It is the real one: for tests of the kernel, which want no more than the checks.
    case real
  }

  /// The order in which what is ready together runs.
  public enum Order: Sendable, Hashable {
    /// First in, first out: what the loop promises.
    case fifo
    /// Shuffled by a seed, the same each time: it finds what relies on an order without knowing.
    case seeded(UInt64)
  }

  /// When a loop is looked through for what was left behind.
  public enum LeakCheck: Sendable, Hashable {
    /// Never.
    case off
    /// After the tasks that were left have been cancelled and have ended: no timer, no watch, no signal handler and no
    /// task may be there then.
    case afterShutdown
    /// When the body has ended, and what was under way has settled: none of those may be there.
    case atEnd
    /// The same; and the process may have no more descriptors, threads and children than at the start. What other tests
    /// open meanwhile would be found, too: have nothing run beside such a test.
    case wholeProcess
  }

  /// How a loop under test is to be.
  public struct Configuration: Sendable {
    /// How time moves.
    public var time: Time = .autojump

    /// The order of what is ready together.
    public var order: Order = .fifo

    /// What may be left at the end.
    public var leaks: LeakCheck = .atEnd

    /// Whether the steps are written down, and callbacks and timers say where they were made; for
    /// ``AsyncIO/EventLoop/trace``, and for the names in ``LeakError``.
    public var isTraced = true

    /// How long tasks that were left may take to end after their cancel, on the loop's clock.
    public var shutdownGrace: Duration? = .seconds(60)

    /// How long, in real time, a loop that nothing of its own can wake waits for other threads, before that is a hang.
    public var patience: Duration = .seconds(2)

    /// How long, in real time, time stands still while somebody waits for a descriptor of the real kernel, whose other end
    /// may be with another process.
    public var graceForDescriptors: Duration = .milliseconds(5)

    /// How long, in real time, time stands still when nothing happens, though something is due later: for threads that the
    /// loop knows nothing of, and whose answer the body awaits beside a limit. (What `runBlocking` and its kin do is known,
    /// and waited for.)
    public var graceForThreads: Duration = .zero

    /// How long, in real time, a run may take: what ends a test whose timers go round and round.
    public var limitOfRealTime: Duration = .seconds(60)

    /// The network of the loop's sockets; `nil` for the kernel's.
    public var network: Network?

    /// How the kernel, or the network, behaves.
    public var system = SystemScript()

    /// The loop's own configuration.
    public var loop = EventLoop.Configuration()

    /// The standard: virtual time that jumps, FIFO order, nothing left at the end.
    public init() {}

    /// The standard, with some of it changed.
    public init(time: Time = .autojump, order: Order = .fifo, leaks: LeakCheck = .atEnd) {
      self.time = time
      self.order = order
      self.leaks = leaks
    }

    /// The seed of the order; 0 in FIFO order.
    var seed: UInt64 { if case .seeded(let seed) = order { seed } else { 0 } }

    /// The same, in the order of a seed.
    public func seeded(_ seed: UInt64) -> Configuration {
      var configuration = self
      configuration.order = .seeded(seed)
      return configuration
    }
  }
}
