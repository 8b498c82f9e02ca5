// SPDX-License-Identifier: Apache-2.0
//
// What can be said about a loop when it is made.

import Glibc
public import Logging

extension EventLoop {
  /// How a loop is to be.
  public struct Configuration: Sendable {
    /// When the wait for a timer ends.
    public enum TimerPrecision: Sendable, Hashable {
      /// At the next half of a millisecond after the deadline, so that timers close together share a wake-up: one
      /// system call a wait, and a second one when the wait ends at another half than the one before.
      case millisecond
      /// At the deadline: two system calls a wait.
      case precise
    }

    /// Debug mode: reports of slow callbacks, creation sites in reports.
    ///
    /// At first what the environment says: on when `ASYNCIO_DEBUG` is set and neither empty nor `0`.
    public var debug: Bool

    /// How exact timers are; no timer fires early in either. At first `.millisecond`.
    public var timerPrecision: TimerPrecision = .millisecond

    /// How many threads ``EventLoop/runBlocking(on:_:)`` has at most; less than 1 counts as 1. At first the number of
    /// processors that the process may use and 4, and at most 32.
    public var maximumBlockingThreads = ThreadLimits.usual

    /// How many threads look up names at most; less than 1 counts as 1. They are others than those of
    /// ``maximumBlockingThreads``, so that a name server that does not answer does not hold up the rest. At first 4.
    public var maximumLookUpThreads = 4

    /// Where reports go that no exception handler takes. At first a logger named `asyncio`.
    public var logger: Logger

    /// What a test puts in the place of the clock, the kernel, and the order.
    package var seams = Seams()

    /// A configuration with the defaults.
    public init() {
      // SAFETY: getenv returns null or a C string that lives while nobody changes the environment.
      let value = unsafe getenv("ASYNCIO_DEBUG").map { unsafe String(cString: $0) } ?? ""
      debug = !value.isEmpty && value != "0"
      logger = Logger(label: "asyncio")
    }
  }
}

/// How many threads a loop's pools may have.
struct ThreadLimits: Sendable {
  let blocking: Int
  let lookUps: Int

  static var usual: Int { min(32, Processors.usable + 4) }
}

/// The places where a test takes over. `nil` is the real thing.
package struct Seams: Sendable {
  package var clock: (any LoopClock)?
  package var systemCalls: (any SystemCalls)?
  package var processCalls: (any ProcessCalls)?
  package var nameLookup: (any NameLookup)?
  package var batchOrder = BatchOrder.fifo
  package var observer: (any LoopObserver)?
  /// Made by the test, and used by this one loop.
  package nonisolated(unsafe) var backend: (any Backend)?

  package init() {}
}

/// The order in which the entries of one batch run.
package enum BatchOrder: Sendable, Equatable {
  /// First in, first out: what is promised.
  case fifo
  /// Shuffled by a seed, the same each time: what finds hidden reliance on order.
  case seeded(UInt64)
}
