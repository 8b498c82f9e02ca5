// SPDX-License-Identifier: Apache-2.0
//
// The owners of libevent's two handles. Both import as `OpaquePointer`; outside of this file neither exists raw.

import CLibEvent
import Glibc
import SystemPackage

/// The owner of an `event_base`.
///
/// Invariant: the base is used on one thread at a time; it was made without locks, and its events end before it.
@safe struct EventBase: ~Copyable {
  fileprivate let raw: OpaquePointer
  private let process = ProcessNumber.present

  /// Makes a base on epoll.
  init() throws(SystemError) {
    LibEventLog.silence()
    // SAFETY: the configuration lives until the base is made, and is freed on every path.
    guard let configuration = unsafe event_config_new() else { throw SystemError(.noMemory, in: "malloc") }
    defer { unsafe event_config_free(configuration) }
    let flags = EVENT_BASE_FLAG_NOLOCK.rawValue | EVENT_BASE_FLAG_IGNORE_ENV.rawValue
    unsafe event_config_set_flag(configuration, Int32(flags))
    guard let base = unsafe event_base_new_with_config(configuration) else {
      throw SystemError(.last, in: "epoll_create1")
    }
    unsafe raw = base
  }

  /// Runs one pass: waits for an active event unless `polling`, and calls the events' callbacks.
  func pass(polling: Bool) {
    // EVLOOP_NONBLOCK alone looks again and again for as long as anything is ready.
    let flags = polling ? EVLOOP_NONBLOCK | EVLOOP_ONCE : EVLOOP_ONCE
    // SAFETY: the base is alive as long as self, and this is its one thread.
    _ = unsafe event_base_loop(raw, flags)
  }

  /// Makes the kernel forget what it watches, and tells it again what there is to watch.
  func renew() {
    // SAFETY: the base is alive as long as self, and this is its one thread. A number that cannot be watched any more
    // makes the call fail, after it has done what it can.
    _ = unsafe event_reinit(raw)
  }

  deinit {
    if process != .present { return }
    // SAFETY: the events hold their backend, and so this base, alive; when this runs there are none left.
    unsafe event_base_free(raw)
  }
}

/// The owner of an `event`.
///
/// Invariant: `context` is alive for as long as the event, and the base is too; whoever holds the event sees to it.
@safe struct Event: ~Copyable {
  private let raw: OpaquePointer
  private let process = ProcessNumber.present

  /// Makes an event that is not yet pending.
  ///
  /// - Parameter context: what the callback is called with; not retained.
  init(
    on base: borrowing EventBase, descriptor: Int32, kinds: Int32, context: AnyObject,
    callback: event_callback_fn
  ) throws(SystemError) {
    // SAFETY: base and context outlive the event (the invariant above).
    guard
      let event = unsafe event_new(
        base.raw, descriptor, Int16(kinds), callback, Unmanaged.passUnretained(context).toOpaque())
    else { throw SystemError(.noMemory, in: "malloc") }
    unsafe raw = event
  }

  /// Makes the event pending.
  func add() throws(SystemError) {
    // SAFETY: the event and its base are alive.
    guard unsafe event_add(raw, nil) == 0 else { throw SystemError(.last, in: "epoll_ctl") }
  }

  /// Makes it not pending.
  func remove() {
    // SAFETY: the event and its base are alive.
    _ = unsafe event_del(raw)
  }

  deinit {
    // A process that was forked off shares the kernel's list with its parent: what it took out would be missing there.
    if process != .present { return }
    // SAFETY: nobody else frees it; libevent removes it from the base first.
    unsafe event_free(raw)
  }
}

/// libevent writes its warnings on standard error; each of them is a failed call whose error we throw ourselves.
private enum LibEventLog {
  static func silence() { silenced }
  private static let silenced: Void = unsafe event_set_log_callback { _, _ in }
}
