// SPDX-License-Identifier: Apache-2.0
//
// The end of a child: how the loop hears of it, who reaps it, and why no signal goes to a number that is somebody
// else's by then.

import Glibc
import SystemPackage

/// A child from its start until it is reaped.
///
/// The loop hears of the end by a pidfd, which it watches. Where there is none (before Linux 5.4, or when there are no
/// descriptors left), a thread waits for that child, and leaves it to be reaped. There is no handler for `SIGCHLD`, and
/// nobody else's child is ever waited for.
///
/// Invariant, and the reason for `@unchecked Sendable`: `watch` and `isPolling` belong to the thread that holds the loop.
/// The child is reaped, and signals are sent, under the lock of `state`, so that a signal goes to the child or to nobody.
/// The loop holds this object until the child is reaped or the loop is closed; then a thread of its own does.
final class ChildExit: LoopDependent, @unchecked Sendable {
  let processID: Int32
  /// Ends when the child has been reaped.
  let future: Future<ChildExitStatus>
  private let loop: EventLoop
  /// Where it was started.
  let site: CreationSite
  private var watch: (any Watch)?
  private var isPolling = false
  private let state: Locked<State>

  private struct State: ~Copyable {
    /// There while the child may be named by it.
    var descriptor: OwnedSocket?
    var isReaped = false
    /// Whether it is to live on when nobody is interested any more.
    var isDetached = false

    borrowing func name(_ processID: Int32) -> ProcessName {
      switch descriptor {
      case .some(let descriptor): .descriptor(descriptor.rawValue)
      case .none: .number(processID)
      }
    }
  }

  /// Takes over a child that was just started. Nobody else must wait for it.
  ///
  /// - Throws: When nothing can wait for the child: it is killed and reaped then.
  init(
    _ processID: Int32, _ site: CreationSite, on loop: isolated EventLoop
  ) throws(SystemError) {
    self.processID = processID
    self.site = site
    self.loop = loop
    future = loop.createFuture()
    state = Locked(State())
    loop.hold(self)
    if beginWatching(on: loop) { return }
    do {
      try waitInThread()
    } catch {
      killNow()
      _ = try? loop.processCalls.wait(for: .number(processID), blocking: true, reaping: true)
      state.withLock { $0.isReaped = true }
      loop.release(self)
      throw error
    }
  }

  // MARK: Signals

  /// Sends a signal. Any thread.
  ///
  /// - Throws: `ESRCH` when the child has been reaped; `EINVAL` for what is no signal.
  func send(_ signal: Int32) throws(SystemError) {
    let calls = loop.processCalls
    let errno: Errno? = state.withLock { state -> Errno? in
      if state.isReaped { return .noSuchProcess }
      do throws(Errno) {
        try calls.signal(state.name(processID), signal)
        return nil
      } catch {
        return error
      }
    }
    if let errno { throw SystemError(errno, in: "kill") }
  }

  /// Nobody is interested any more: a child that runs is killed, unless it was detached. It is reaped all the same.
  func letGo() {
    if !future.isDone && !state.withLock({ $0.isDetached }) { killNow() }
  }

  func detach() { state.withLock { $0.isDetached = true } }

  private func killNow() {
    // It fails only for one that is gone.
    try? send(SIGKILL)
  }

  // MARK: The end

  /// - Returns: `false` when there is nothing to watch.
  private func beginWatching(on loop: isolated EventLoop) -> Bool {
    do {
      let raw = try loop.processCalls.openProcess(processID)
      let descriptor = OwnedSocket(owning: raw, calls: loop.systemCalls)
      // Other code of the process may have taken the child's status by now, and its number be another's: so this asks
      // whether the descriptor stands for a child. And whether the kernel knows such descriptors here, too.
      _ = try loop.processCalls.wait(for: .descriptor(raw), blocking: false, reaping: false)
      // Unowned: the watch ends with this object.
      watch = try loop.backend.watch(descriptor.descriptor, for: .readable, isOwned: true) { [unowned self] in
        self.loop.assumeIsolated { self.noteEnd(on: $0) }
      }
      take(descriptor)
      return true
    } catch {
      return false
    }
  }

  private func take(_ descriptor: consuming OwnedSocket) {
    var descriptor = Optional(descriptor)
    state.withLock { $0.descriptor = descriptor.take() }
  }

  /// Has a thread wait for the child, and tell the loop; when that is closed by then, it reaps the child itself.
  private func waitInThread() throws(SystemError) {
    try PlainThread.start(name: "asyncio-child") { [self] in
      // An error says that the child is gone already.
      _ = try? loop.processCalls.wait(for: name, blocking: true, reaping: false)
      let isTold = loop.executor.onLoop { [self] in loop.assumeIsolated { noteEnd(on: $0) } }
      if !isTold { reap() }
    }
  }

  private var name: ProcessName { state.withLock { $0.name(processID) } }

  /// The child has ended, or so it seems.
  private func noteEnd(on loop: isolated EventLoop) {
    guard reap() else { return poll(on: loop) }
    loop.release(self)
    closeDescriptor()
  }

  /// A child that has ended, and cannot be reaped, is in the hands of a debugger. Its descriptor stays readable: it
  /// rests, so that the loop does not spin.
  private func poll(on loop: isolated EventLoop) {
    guard !isPolling else { return }
    isPolling = true
    watch?.pause()
    loop.callLater(.milliseconds(10)) { [self] in
      isPolling = false
      if !future.isDone { loop.assumeIsolated { noteEnd(on: $0) } }
    }
  }

  /// Reaps the child, if it has ended, and tells those who wait. Any thread, once the loop is closed.
  ///
  /// - Returns: `false` when it has not ended.
  @discardableResult
  private func reap() -> Bool {
    let calls = loop.processCalls
    let status: ChildExitStatus? = state.withLock { state -> ChildExitStatus? in
      guard !state.isReaped else { return nil }
      do throws(Errno) {
        guard let status = try calls.wait(for: state.name(processID), blocking: false, reaping: true) else {
          return nil
        }
        state.isReaped = true
        return status
      } catch {
        state.isReaped = true
        return .unknown
      }
    }
    guard let status else { return future.isDone }
    if status == .unknown {
      loop.reportLater(
        ExceptionContext(
          .childStatusLost,
          "the exit status of child \(processID) was taken by other code of this process, or SIGCHLD is ignored"))
    }
    future.end(with: status)
    return true
  }

  private func closeDescriptor() {
    watch?.end()
    watch = nil
    state.withLock { $0.descriptor = nil }
  }

  // MARK: The end of the loop

  /// The descriptor of the process is left out: nobody has opened it by name.
  var openThing: OpenThing? {
    if future.isDone { return nil }
    let descriptor = state.withLock { $0.descriptor?.rawValue }
    return OpenThing(
      .child(processID: processID), "child process \(processID)", site: "\(site)",
      descriptors: descriptor.map { [$0] } ?? [])
  }

  func loopIsClosing() {
    letGo()
    // Otherwise the thread that waits reaps the child.
    guard watch != nil || isPolling else { return }
    watch?.end()
    watch = nil
    if reap() { return closeDescriptor() }
    // It holds this object, and with it the descriptor.
    do {
      try waitInThread()
    } catch {
      // There is no thread left to wait; a child that was killed takes no time.
      if !state.withLock({ $0.isDetached }) {
        _ = try? loop.processCalls.wait(for: name, blocking: true, reaping: false)
        reap()
      }
    }
  }
}
