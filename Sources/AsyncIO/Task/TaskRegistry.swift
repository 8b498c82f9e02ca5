// SPDX-License-Identifier: Apache-2.0
//
// Which tasks a loop has, and which of them is running.

extension LoopExecutor {
  /// The task of this loop whose code is running on this thread; `nil` in a plain callback, and in a Swift task that is
  /// no task of ours (a child in a group, a task of another library).
  ///
  /// The thread must hold the loop.
  var currentTask: AnyLoopTask? {
    guard let identity = SwiftTaskIdentity.current else { return nil }
    // SAFETY: `current` is cleared before the task that it names can go, and holds nothing but tasks.
    if let hint = unsafe current {
      let task = unsafe unsafeDowncast(hint, to: AnyLoopTask.self)
      if task.identity == identity { return task }
    }
    guard let resident = residents[identity] else { return nil }
    unsafe current = resident
    return unsafe unsafeDowncast(resident, to: AnyLoopTask.self)
  }

  /// Whether the Swift task that runs on this thread comes back to the loop by itself after a suspension.
  var isPreferredByThisTask: Bool {
    unsafe withUnsafeCurrentTask { task in
      guard let task = unsafe task else { return false }
      return unsafe task.unownedTaskExecutor == asUnownedTaskExecutor()
    }
  }

  /// All tasks that have not ended, in order of creation.
  var tasks: [AnyLoopTask] {
    residents.objects.map { unsafe unsafeDowncast($0, to: AnyLoopTask.self) }
      .sorted { $0.creationNumber < $1.creationNumber }
  }

  func remember(_ task: AnyLoopTask) {
    if let identity = task.identity { residents.insert(task, for: identity) }
  }

  func forget(_ task: AnyLoopTask) {
    if let identity = task.identity { residents.remove(identity) }
    if unsafe current === task { unsafe current = nil }
  }
}

extension AnyLoopTask {
  /// Enters the registry. Called once, in the creating call.
  @usableFromInline
  final func start(_ swiftTask: consuming Task<Void, any Error>) {
    self.swiftTask = swiftTask
    loop.executor.remember(self)
  }

  /// Which Swift task it is; `nil` before the start and after the end.
  final var identity: SwiftTaskIdentity? {
    guard let swiftTask else { return nil }
    return SwiftTaskIdentity(swiftTask)
  }

  /// The task whose code calls this; `nil` outside of tasks of loops. asyncio's `current_task`.
  public static var current: AnyLoopTask? {
    guard let executor = ThreadLocals.running?.executor, executor.isHeldByThisThread else { return nil }
    return executor.currentTask
  }
}

extension EventLoop {
  /// The tasks of this loop that have not ended, in order of creation. asyncio's `all_tasks`.
  public var allTasks: [AnyLoopTask] { executor.tasks }
}
