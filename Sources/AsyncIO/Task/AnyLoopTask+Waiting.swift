// SPDX-License-Identifier: Apache-2.0
//
// What a task waits for, in words: for the one who looks for the reason of a hang.

extension AnyLoopTask {
  /// The name that it was given, if it was given one.
  package final var explicitName: String? { givenName }

  /// Where it was made.
  package final var creationSite: String { "\(site)" }

  /// What the body waits for now, in a few words. The loop's thread.
  package final var waitDescription: String {
    if let awaited { return awaited.subjectOfWait }
    if let waiter = unsafe waiter { return waiter.waitDescription }
    return hasStarted ? "something that is none of the loop's" : "its first turn"
  }
}

extension LoopExecutor {
  /// The tasks that have not ended, in order of creation.
  package var unfinishedTasks: [AnyLoopTask] { tasks }

  /// What is waited for by others than tasks of the loop, in a few words each; but for tasks of the loop, which have not
  /// ended themselves.
  package var waitsFromOutside: [String] {
    outsiders.values.compactMap { outsider in
      switch outsider {
      case let waiter as Waiter: waiter.waitDescription
      case is AnyLoopTask: nil
      case let future as AnyFuture: future.subjectOfWait
      default: "something"
      }
    }
  }
}
