// SPDX-License-Identifier: Apache-2.0
//
// What a queue says no with.

/// A queue could not do what was asked of it.
public struct QueueError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact.
  public let description: String

  /// There is nothing to be got: asyncio's `QueueEmpty`.
  public static let empty = QueueError(description: "the queue is empty")

  /// There is no place: asyncio's `QueueFull`.
  public static let full = QueueError(description: "the queue is full")

  /// It takes no more items, and those that it had are gone: asyncio's `QueueShutDown`.
  public static let shutDown = QueueError(description: "the queue is shut down")

  /// `taskDone()` was called more often than items were put.
  public static let nothingToBeDone = QueueError(
    description: "AsyncQueue.taskDone: all items that were put are done already; call it once for each that you got")
}
