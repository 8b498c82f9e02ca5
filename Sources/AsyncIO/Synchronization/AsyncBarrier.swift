// SPDX-License-Identifier: Apache-2.0
//
// A place where so many tasks meet.

/// Tasks wait for each other, until so many are there. asyncio's `Barrier`.
///
/// ```swift
/// let barrier = try AsyncBarrier(parties: 3)
/// for worker in workers {
///   loop.createTask {
///     try await worker.prepare()
///     try await barrier.waitForAll()               // nobody starts before all are prepared
///     try await worker.start()
///   }
/// }
/// ```
///
/// When the last one has come all go on, and the barrier is empty again: who comes from that moment on waits for the
/// next round.
///
/// It belongs to the loop on which it is used first, and is not `Sendable`.
///
/// Invariant: fewer than `parties` wait; nobody while it is broken.
public final class AsyncBarrier: LoopBound {
  var boundExecutor: LoopExecutor?
  let queue = WaitQueue()

  /// How many meet.
  public let parties: Int

  /// Whether it was aborted, and has not been reset.
  public private(set) var isBroken = false

  /// Makes a barrier for so many tasks.
  ///
  /// - Parameter parties: 1 or more.
  /// - Throws: ``InvalidArgumentError`` for fewer.
  public init(parties: Int) throws(InvalidArgumentError) {
    guard parties > 0 else {
      throw InvalidArgumentError("AsyncBarrier: the number of parties is \(parties); give 1 or more")
    }
    self.parties = parties
  }

  /// How many wait now.
  public var waitingCount: Int { queue.count }

  /// Waits until all have come. The last one does not give up the turn.
  ///
  /// - Parameter timeout: How long to wait; `nil`: as long as it takes. Zero or less: until the next turn.
  /// - Returns: The place in the round, from 0; each one's is another. Whoever gets 0 may do what one of them is to do.
  /// - Cancellation: Throws `CancellationError`. The others wait on, for one more. If all had come already, they go on.
  /// - Throws: `CancellationError`; ``TimeoutError``; ``BrokenBarrierError``; ``WrongLoopError``;
  ///   ``NoRunningLoopError``.
  @discardableResult
  public func waitForAll(timeout: Duration? = nil) async throws -> Int {
    let executor = try requireLoop()
    if isBroken { throw BrokenBarrierError() }
    if queue.count == parties - 1 {
      var number = 0
      while queue.wakeFirst(.numbered(number)) != nil { number += 1 }
      return number
    }
    let place = queue.enter()
    switch try await queue.wait(in: place, on: executor, until: executor.deadline(after: timeout), passingOn: {}) {
    case .numbered(let number): return number
    case .granted, .refused: throw BrokenBarrierError()
    }
  }

  /// Makes it as new. Those who wait get ``BrokenBarrierError``; those of a round that is complete go on unhurt.
  public func reset() {
    requireThread("AsyncBarrier.reset")
    isBroken = false
    queue.wakeAll(.refused)
  }

  /// Breaks it: those who wait, and who come until it is reset, get ``BrokenBarrierError``. For a task that will not
  /// come, so that the others do not wait for ever.
  public func abort() {
    requireThread("AsyncBarrier.abort")
    isBroken = true
    queue.wakeAll(.refused)
  }
}

extension AsyncBarrier: CustomStringConvertible {
  /// The state and how many wait, for logs.
  public var description: String { "AsyncBarrier(\(isBroken ? "broken" : "\(waitingCount) of \(parties)"))" }
}

/// A barrier was aborted or reset while a task waited at it.
public struct BrokenBarrierError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact.
  public var description: String { "the barrier was aborted or reset before all had come" }
}
