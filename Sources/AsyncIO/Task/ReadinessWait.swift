// SPDX-License-Identifier: Apache-2.0
//
// Waiting for a descriptor, without a system call for each wait.

package import SystemPackage

/// Waits for the readiness of one direction of a descriptor, one after the other.
///
/// The kernel is told of the interest at the first wait, and not again: the watch stays. A readiness that comes while
/// nobody waits is noted, and the watch rests until somebody does, so that what nobody takes is no spin.
///
/// Invariant: `isNoted` only while the watch rests. The watch gets no notice, and the number of the descriptor is not
/// used, after `end()`.
package final class ReadinessWait: Waiter, DescriptorInterest, @unchecked Sendable {
  private let loop: EventLoop
  private let descriptor: FileDescriptor
  private let readiness: Readiness
  private let isOwned: Bool
  private var watch: (any Watch)?
  private var isResting = false
  private var isNoted = false
  private var hasEnded = false
  /// Ends a rest that was asked for.
  private var restTimer: TimerID?

  /// - Parameter isOwned: Whether the caller owns the descriptor, and ends this before it closes it.
  package init(_ descriptor: FileDescriptor, _ readiness: Readiness, isOwned: Bool, on loop: EventLoop) {
    self.loop = loop
    self.descriptor = descriptor
    self.readiness = readiness
    self.isOwned = isOwned
  }

  package override var waitDescription: String {
    "descriptor \(descriptor.rawValue) to be \(readiness == .writable ? "writable" : "readable")"
  }

  /// Suspends the calling task until the descriptor is ready. It may be ready no more when the task goes on.
  ///
  /// Of a readiness that was noted it returns at once, without giving up the turn.
  ///
  /// - Throws: What ``Waiter/wait(on:until:)`` throws; ``DescriptorClosedError`` after `end()`; ``SystemError`` of
  ///   `epoll_ctl`; ``LoopClosedError``.
  @inline(__always)
  package func untilReady(by deadline: Deadline? = nil) async throws {
    if hasEnded { throw DescriptorClosedError() }
    if isNoted {
      isNoted = false
      return
    }
    if isResting || watch == nil { try beWatching() }
    try await wait(on: loop.executor, until: deadline)
    if hasEnded { throw DescriptorClosedError() }
  }

  /// Takes no notice for a while: of a descriptor that is ready, and of which a call says all the same that it cannot be
  /// served now.
  package func rest(for pause: Duration) {
    guard !hasEnded, restTimer == nil else { return }
    isNoted = false
    isResting = true
    watch?.pause()
    restTimer = loop.executor.timers.arm(at: loop.timeSource.now.advanced(by: pause)) { [self] in
      restTimer = nil
      guard isWaiting else { return }
      // One who waits and cannot be told by the kernel looks for himself.
      if (try? beWatching()) == nil { wake() }
    }
  }

  /// Unless a rest was asked for: then the timer sees to it. (Not called where there is nothing to do: `assumeIsolated`
  /// makes objects of its closures.)
  private func beWatching() throws {
    guard restTimer == nil else { return }
    try loop.assumeIsolated { try beWatching(on: $0) }
  }

  private func beWatching(on loop: isolated EventLoop) throws {
    guard let watch else {
      guard !loop.isClosed else { throw LoopClosedError() }
      // SAFETY: the backend's watch, which holds this closure, ends with this object.
      watch = try loop.backend.watch(descriptor, for: readiness, isOwned: isOwned) { [unowned(unsafe) self] in
        unsafe notice()
      }
      return
    }
    if isResting {
      try watch.resume()
      isResting = false
    }
  }

  private func notice() {
    // One that is about to go on takes what is there.
    if wake() || isLeaving { return }
    isNoted = true
    isResting = true
    watch?.pause()
  }

  /// Ends the interest. A task that waits goes on with ``DescriptorClosedError``. Idempotent.
  package func end() {
    guard !hasEnded else { return }
    hasEnded = true
    watch?.end()
    watch = nil
    if let timer = restTimer.take() { _ = loop.executor.timers.cancel(timer) }
    wake()
  }

  package func endForClosing() { end() }
}

/// The descriptor that a task waited for, or the connection behind it, was closed here.
public struct DescriptorClosedError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact.
  public var description: String { "the descriptor was closed on this side" }

  package init() {}
}
