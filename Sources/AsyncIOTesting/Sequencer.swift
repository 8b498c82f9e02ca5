// SPDX-License-Identifier: Apache-2.0
//
// Interleavings, written down: which piece of which task comes first.

import AsyncIO

/// Puts pieces of several tasks into an order.
///
/// ```swift
/// let step = Sequencer()
/// loop.createTask { try await step(0) { … }; try await step(3) { … } }
/// loop.createTask { try await step(1) { … }; try await step(2) { … } }
/// ```
///
/// A piece waits until all pieces with lower numbers have ended. Each number is used once, and none is left out: a piece
/// whose forerunner never comes makes the loop hang, and the error names the place of the piece.
///
/// - Threading: One loop's.
public final class Sequencer {
  private var next = 0
  private var used: Set<Int> = []
  private var waiting: [Int: Future<Void>] = [:]
  private var isBroken = false

  /// A sequence that begins with 0.
  public init() {}

  /// Runs a piece in its turn.
  ///
  /// - Cancellation: Of one that waits: it will never come, so those behind it get ``SequencerError/broken``.
  /// - Throws: What the piece throws: that counts as its end. ``SequencerError``. ``/AsyncIO/NoRunningLoopError``.
  @discardableResult
  public nonisolated(nonsending) func callAsFunction<T>(
    _ number: Int, fileID: StaticString = #fileID, line: UInt = #line,
    _ piece: nonisolated(nonsending) () async throws -> T
  ) async throws -> T {
    if isBroken { throw SequencerError.broken }
    guard number >= 0, used.insert(number).inserted else { throw SequencerError.numberUsedTwice(number) }
    if number > next {
      let turn = try EventLoop.running.createFuture(of: Void.self, fileID: fileID, line: line)
      waiting[number] = turn
      do {
        try await turn.value
      } catch {
        waiting[number] = nil
        breakUp()
        throw error
      }
      waiting[number] = nil
    }
    defer { passOn(number) }
    return try await piece()
  }

  private func passOn(_ number: Int) {
    guard number == next else { return }
    next += 1
    try? waiting[next]?.setResult()
  }

  private func breakUp() {
    isBroken = true
    for (_, turn) in waiting.sorted(by: { $0.key < $1.key }) { try? turn.setError(SequencerError.broken) }
  }
}

/// A sequence was used in a way in which it has no order.
public enum SequencerError: Error, Hashable, Sendable {
  /// Two pieces have one number.
  case numberUsedTwice(Int)
  /// A piece was cancelled before its turn, so that those behind it will never have theirs.
  case broken
}
