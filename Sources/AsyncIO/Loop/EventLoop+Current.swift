// SPDX-License-Identifier: Apache-2.0
//
// The loop of a thread.

import Glibc

extension EventLoop {
  /// The loop that runs on the calling thread: asyncio's `get_running_loop`.
  ///
  /// - Throws: ``NoRunningLoopError`` when none does.
  public static var running: EventLoop {
    get throws(NoRunningLoopError) {
      guard let loop = ThreadLocals.running else { throw NoRunningLoopError() }
      return loop
    }
  }

  /// The loop of the calling thread: the one that runs on it, or else the one that was set here; `nil` when there is
  /// none. asyncio's `get_event_loop` and `set_event_loop`.
  ///
  /// Setting it says which loop code of yours shall find before any runs; the thread holds the loop until it is set to
  /// `nil`, or the thread ends. It changes nothing about a loop that runs.
  public static var current: EventLoop? {
    get { ThreadLocals.running ?? ThreadLocals.assigned }
    set { ThreadLocals.assigned = newValue }
  }
}

/// No loop runs on this thread, so there is none to work on.
public struct NoRunningLoopError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact and the cure.
  public var description: String {
    "no event loop runs on this thread; call from a task or a callback of a loop"
  }

  package init() {}
}

/// What a thread knows of loops: two references, released when the thread ends.
enum ThreadLocals {
  static var running: EventLoop? {
    get { runningKey.value }
    set { runningKey.value = newValue }
  }

  static var assigned: EventLoop? {
    get { assignedKey.value }
    set { assignedKey.value = newValue }
  }

  /// In a process that was forked off: the thread has no loop. Those that it had stay alive, unused.
  static func forget() {
    runningKey.forget()
    assignedKey.forget()
  }

  private static let runningKey = ThreadKey()
  private static let assignedKey = ThreadKey()
}

/// A reference to a loop for each thread.
private struct ThreadKey: Sendable {
  private let key: pthread_key_t

  init() {
    var key = pthread_key_t()
    // SAFETY: the pointer is to a local; the destructor gets the value that the setter below retained.
    let result = unsafe pthread_key_create(&key) { value in
      if let value = unsafe value { unsafe Unmanaged<EventLoop>.fromOpaque(value).release() }
    }
    guard result == 0 else {
      misuse("EventLoop", "the process has no thread-specific keys left; other libraries have taken all of them")
    }
    self.key = key
  }

  func forget() { _ = pthread_setspecific(key, nil) }

  var value: EventLoop? {
    get {
      // SAFETY: the value is null, or a loop that the setter retained for this thread.
      guard let value = unsafe pthread_getspecific(key) else { return nil }
      return unsafe Unmanaged<EventLoop>.fromOpaque(value).takeUnretainedValue()
    }
    nonmutating set {
      let old = unsafe pthread_getspecific(key)
      let new = unsafe newValue.map { unsafe Unmanaged.passRetained($0).toOpaque() }
      unsafe pthread_setspecific(key, UnsafeRawPointer(new))
      // SAFETY: the old value was retained when it was set, and this is its one release.
      if let old = unsafe old { unsafe Unmanaged<EventLoop>.fromOpaque(old).release() }
    }
  }
}
