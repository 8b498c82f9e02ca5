// SPDX-License-Identifier: Apache-2.0
//
// Readiness and the wait, by libevent.

import CLibEvent
import Glibc
package import SystemPackage

/// A ``Backend`` on one `event_base`, with one armed timer: the end of the present wait.
package final class LibEventBackend: Backend {
  fileprivate let base: EventBase
  private var timer: Event?
  private var isTimerArmed = false

  /// - Parameter precise: whether waits end at the microsecond, or at the next whole millisecond.
  package init(precise: Bool) throws(SystemError) {
    base = try EventBase(precise: precise)
    unsafe timer = try Event(on: base, descriptor: -1, kinds: 0, context: self, callback: { _, _, _ in })
  }

  package func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    // libevent takes -1 for "no descriptor", and makes room for any number up to a given one.
    guard fcntl(descriptor.rawValue, F_GETFD) >= 0 else { throw SystemError(.badFileDescriptor, in: "epoll_ctl") }
    return try LibEventWatch(self, descriptor.rawValue, readiness, notice: notice)
  }

  package func wait(_ limit: WaitLimit) {
    switch limit {
    case .poll:
      base.pass(polling: true)
    case .forever:
      disarm()
      base.pass(polling: false)
    case .nanoseconds(let nanoseconds):
      // Adding a pure timer fails only when memory does; then the wait becomes a look.
      let armed = (try? timer?.add(after: min(nanoseconds, Self.longestWait))) != nil
      isTimerArmed = armed
      base.pass(polling: !armed)
    }
  }

  /// A day; libevent wakes more often than that anyhow, and its sums stay far from overflow.
  private static let longestWait: Int64 = 86_400_000_000_000

  private func disarm() {
    guard isTimerArmed else { return }
    timer?.remove()
    isTimerArmed = false
  }

  deinit {
    timer = nil
  }
}

/// One event of the backend.
///
/// Invariant: the event is `nil` once ended; while there is one, this object, its context, is alive, and so is the
/// base, which the backend holds.
private final class LibEventWatch: Watch {
  private let backend: LibEventBackend
  private let descriptor: Int32
  private let notice: () -> Void
  private var event: Event?

  init(
    _ backend: LibEventBackend, _ descriptor: Int32, _ readiness: Readiness, notice: @escaping () -> Void
  ) throws(SystemError) {
    self.backend = backend
    self.descriptor = descriptor
    self.notice = notice
    let event = unsafe try Event(
      on: backend.base, descriptor: descriptor, kinds: Self.kinds(of: readiness), context: self
    ) { _, _, context in
      guard let context = unsafe context else { return }
      // SAFETY: the context is the watch that owns this event, and libevent calls no event that was freed.
      unsafe Unmanaged<LibEventWatch>.fromOpaque(context).takeUnretainedValue().notice()
    }
    try event.add()
    self.event = consume event
  }

  func end() {
    guard event != nil else { return }
    event = nil
    // A number that was closed too early cannot be taken out of epoll; and if what stood behind it is open still, as a
    // duplicate or in a child process, each wait would find it ready.
    if fcntl(descriptor, F_GETFD) < 0 { backend.base.renew() }
  }

  private static func kinds(of readiness: Readiness) -> Int32 {
    switch readiness {
    case .readable: EV_READ | EV_PERSIST
    case .writable: EV_WRITE | EV_PERSIST
    case .arrival: EV_READ | EV_PERSIST | EV_ET
    }
  }

  deinit {
    event = nil
  }
}
