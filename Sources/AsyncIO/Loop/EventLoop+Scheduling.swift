// SPDX-License-Identifier: Apache-2.0
//
// Callbacks and delayed callbacks.

extension EventLoop {
  /// Schedules a callback for the next turn.
  ///
  /// Callbacks run in the order of scheduling, each once, on the loop; one that throws is reported to the exception
  /// handler. They carry no task-locals: those of the scheduling task belong to it.
  ///
  /// - Complexity: O(1); no allocation beyond the closure's own.
  /// - Returns: A handle that can cancel it. On a closed loop the callback is reported, and does not run.
  @discardableResult
  public func callSoon(
    fileID: StaticString = #fileID, line: UInt = #line, _ callback: consuming @escaping () throws -> Void
  ) -> CallbackHandle {
    if isClosing {
      reportRefused(fileID, line)
      return CallbackHandle(loop: ObjectIdentifier(self), ticket: .max)
    }
    let ticket = executor.ready.append(.callback(isMarking ? marked(callback, fileID, line) : callback))
    return CallbackHandle(loop: ObjectIdentifier(self), ticket: ticket)
  }

  /// Schedules a callback from any thread, and wakes the loop if it waits.
  ///
  /// What one thread schedules runs in its order. The callback gets the loop, isolated, so it may call everything on
  /// it.
  ///
  /// - Threading: Any thread, the loop's own included.
  /// - Throws: ``LoopClosedError`` when the loop is closed; the callback will not run then. One that was taken just
  ///   before the loop was closed may not run either.
  public nonisolated func callSoonThreadsafe(
    _ callback: consuming @escaping @Sendable (isolated EventLoop) throws -> Void
  ) throws(LoopClosedError) {
    let erased = IsolatedCallback(call: callback).erased()
    if executor.isHeldByThisThread && !isClosing {
      // On the loop's own thread it goes straight to the FIFO, to keep its place before what is scheduled after it.
      executor.ready.append(.posted(erased))
      return
    }
    let isTaken = executor.post(.posted(erased))
    guard isTaken else { throw LoopClosedError() }
  }

  /// Schedules a callback after a delay.
  ///
  /// It never runs early on the loop's clock; callbacks with equal deadlines run in the order of arming. A delay of
  /// zero, or a negative one, means the next turn, after what `callSoon` queued before, the most negative first; one
  /// beyond 292 years means never. (For seconds that came from outside, see `Duration(clampingSeconds:)`.)
  ///
  /// - Complexity: O(1), whatever the number of timers; what comes due costs a few moves, and a sort among its like.
  /// - Returns: A handle that can cancel it. On a closed loop the callback is reported, and does not run.
  @discardableResult
  public func callLater(
    _ delay: Duration, fileID: StaticString = #fileID, line: UInt = #line,
    _ callback: consuming @escaping () throws -> Void
  ) -> TimerHandle {
    let deadline = timeSource.now.advanced(by: delay)
    return arm(deadline, isDue: delay <= .zero, marked: fileID, line, callback)
  }

  /// Schedules a callback for a point on the loop's clock; as ``callLater(_:fileID:line:_:)`` in all else.
  ///
  /// A deadline that has passed means the next turn.
  @discardableResult
  public func callAt(
    _ deadline: Instant, fileID: StaticString = #fileID, line: UInt = #line,
    _ callback: consuming @escaping () throws -> Void
  ) -> TimerHandle {
    arm(deadline.deadline, isDue: deadline.deadline <= timeSource.now, marked: fileID, line, callback)
  }

  private func arm(
    _ deadline: Deadline, isDue: Bool, marked fileID: StaticString, _ line: UInt,
    _ callback: consuming @escaping Callback
  ) -> TimerHandle {
    if isClosing {
      reportRefused(fileID, line)
      return TimerHandle(loop: ObjectIdentifier(self), deadline: Instant(deadline), id: .none)
    }
    if isDue { pace.hasDueTimer = true }
    let id = executor.timers.arm(at: deadline, isMarking ? marked(callback, fileID, line) : callback)
    if isMarking { observer?.didArm(id, fileID: fileID, line: line) }
    return TimerHandle(loop: ObjectIdentifier(self), deadline: Instant(deadline), id: id)
  }

  /// Reports a callback that a closed loop was given. One that is being closed drops what is pending anyhow.
  private func reportRefused(_ fileID: StaticString, _ line: UInt) {
    guard isClosed else { return }
    executor.stopIfForked()
    reportException(
      ExceptionContext(
        .scheduledOnClosedLoop, "a callback was scheduled on a closed loop, and will not run",
        error: LoopClosedError(), creationSite: "\(fileID):\(line)"))
  }

  /// In debug mode, and for a test, a callback says where it was made, when it runs.
  private func marked(_ callback: consuming @escaping Callback, _ fileID: StaticString, _ line: UInt) -> Callback {
    return {
      self.runningSite = "\(fileID):\(line)"
      try callback()
    }
  }
}

/// A callback with its isolation, as it comes in.
private struct IsolatedCallback: ~Copyable {
  let call: @Sendable (isolated EventLoop) throws -> Void

  /// The same as the FIFO knows it. (A closure around it would cost an allocation, a copy of it a retain and a
  /// release.)
  consuming func erased() -> PostedCallback {
    // SAFETY: the two structures hold one function each, whose types differ in isolation, which the thread that runs it
    // has, and in the class of the one parameter, which is the loop. The one is moved in, the other out.
    var moved = Optional(self)
    return unsafe withUnsafeTemporaryAllocation(of: IsolatedCallback.self, capacity: 1) { place in
      guard let moved = moved.take(), let address = place.baseAddress else { preconditionFailure("taken once") }
      unsafe address.initialize(to: moved)
      return unsafe UnsafeMutableRawPointer(address).assumingMemoryBound(to: PostedCallback.self).move()
    }
  }
}
