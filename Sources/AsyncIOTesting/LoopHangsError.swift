// SPDX-License-Identifier: Apache-2.0
//
// The end of a test that would hang.

import AsyncIO

/// All tasks of a loop wait, and nothing is left that could wake one of them.
public struct LoopHangsError: Error, Sendable, CustomStringConvertible {
  /// A task that waits.
  public struct WaitingTask: Sendable, Hashable, CustomStringConvertible {
    /// Its name.
    public let name: String
    /// Where it was made: `Module/File.swift:12`.
    public let creationSite: String
    /// What it waits for, in words.
    public let waitsFor: String

    /// All of it in a line.
    public var description: String { "task \(name) (made at \(creationSite)) waits for \(waitsFor)" }
  }

  /// Why nobody waits any longer.
  public let reason: String

  /// The tasks, in order of creation.
  public let tasks: [WaitingTask]

  init(_ reason: String, on loop: EventLoop) {
    self.reason = reason
    tasks = loop.executor.unfinishedTasks.map { task in
      WaitingTask(name: task.name, creationSite: task.creationSite, waitsFor: task.waitDescription)
    }
  }

  /// The fact, and a line for each task.
  public var description: String {
    "the loop hangs: \(reason)" + tasks.map { "\n  \($0)" }.joined()
  }
}
