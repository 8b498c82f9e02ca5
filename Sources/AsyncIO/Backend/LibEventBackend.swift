// SPDX-License-Identifier: Apache-2.0
//
// Readiness and the wait, by libevent.

import CLibEvent
import Glibc
package import SystemPackage

/// A ``Backend`` on one `event_base`, with one alarm: the end of the present wait.
///
/// The alarm is a descriptor, since libevent's own timers go by a clock that is a tick of the kernel behind: up to 4 ms, and
/// as late a wait ends. (Where it is told to be precise, it sets such a descriptor anew in each pass.)
///
/// Invariant: `alarmTime` is what the kernel was told last, or `nil` when that has gone off, or was never.
package final class LibEventBackend: Backend {
  fileprivate let base: EventBase
  private let alarm: AlarmDescriptor
  private var alarmEvent: Event?
  private var alarmTime: Int64?
  private let precise: Bool

  /// - Parameter precise: whether waits end at once after their time, or at the next half of a millisecond. Then waits
  ///   until about the same time, one after the other, set the alarm once.
  package init(precise: Bool) throws(SystemError) {
    self.precise = precise
    base = try EventBase()
    alarm = try AlarmDescriptor()
    // Told once for each time that it goes off: nobody reads it.
    let event = unsafe try Event(
      on: base, descriptor: alarm.rawValue, kinds: EV_READ | EV_PERSIST | EV_ET, context: self
    ) { _, _, context in
      guard let context = unsafe context else { return }
      // SAFETY: the context is the backend that owns this event, and libevent calls no event that was freed.
      unsafe Unmanaged<LibEventBackend>.fromOpaque(context).takeUnretainedValue().alarmTime = nil
    }
    try event.add()
    alarmEvent = consume event
  }

  package func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, isOwned: Bool, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    // libevent takes -1 for "no descriptor", and makes room for any number up to a given one.
    guard isOwned || fcntl(descriptor.rawValue, F_GETFD) >= 0 else {
      throw SystemError(.badFileDescriptor, in: "epoll_ctl")
    }
    return try LibEventWatch(self, descriptor.rawValue, readiness, isOwned, notice: notice)
  }

  package func wait(_ limit: WaitLimit) {
    switch limit {
    case .poll:
      base.pass(polling: true)
    case .forever:
      _ = setAlarm(nil)
      base.pass(polling: false)
    case .nanoseconds(let nanoseconds):
      // Without an alarm the wait becomes a look.
      let isSet = setAlarm(time(after: min(nanoseconds, Self.longestWait)))
      base.pass(polling: !isSet)
    }
  }

  /// A day; sums of it stay far from overflow.
  private static let longestWait: Int64 = 86_400_000_000_000

  /// Where it need not be precise, waits end at multiples of this: half a millisecond.
  package static let grain: Int64 = 500_000

  private func time(after nanoseconds: Int64) -> Int64 {
    let time = KernelClock.nanoseconds(CLOCK_MONOTONIC) + nanoseconds
    if precise { return time }
    return (time + Self.grain - 1) / Self.grain * Self.grain
  }

  private func setAlarm(_ time: Int64?) -> Bool {
    if time == alarmTime { return true }
    alarmTime = time
    return alarm.set(time)
  }

  deinit {
    // Before its descriptor.
    alarmEvent = nil
  }
}

/// One event of the backend.
///
/// Invariant: the event is `nil` once ended; while there is one, this object, its context, is alive, and so is the
/// base, which the backend holds.
private final class LibEventWatch: Watch {
  private let backend: LibEventBackend
  private let descriptor: Int32
  private let isOwned: Bool
  private let notice: () -> Void
  private var event: Event?

  init(
    _ backend: LibEventBackend, _ descriptor: Int32, _ readiness: Readiness, _ isOwned: Bool,
    notice: @escaping () -> Void
  ) throws(SystemError) {
    self.backend = backend
    self.descriptor = descriptor
    self.isOwned = isOwned
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

  // libevent knows whether an event is pending: both do nothing for one that is so already.
  func pause() { event?.remove() }

  func resume() throws(SystemError) { try event?.add() }

  func end() {
    guard event != nil else { return }
    event = nil
    if isOwned { return }
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
