// SPDX-License-Identifier: Apache-2.0
//
// From a signal handler to the loops: what all loops of the process share.

import Glibc
import Synchronization
import SystemPackage

/// The process's side of signal handling.
///
/// A signal handler may do next to nothing, so ours counts the signal and rings one descriptor, which every loop with
/// handlers watches for arrivals; each loop then compares the counts with those that it has seen. So all loops are
/// told, none takes a signal away from another, and a burst cannot overflow anything.
///
/// Invariant: `shared` is made before the first handler is installed, and never goes; so the handler, which may run at
/// any instant on any thread, always finds it whole. That is one descriptor for the process, from its first signal
/// handler on.
enum SignalDelivery {
  /// One past the highest signal of Linux.
  static let limit: Int32 = 65

  /// What the handler touches: nothing but atomics, and a descriptor that is never closed.
  @safe private struct Shared: ~Copyable, Sendable {
    let arrivals: WakeUpDescriptor
    // SAFETY: allocated once, never freed; the elements are atomics.
    nonisolated(unsafe) let counts: UnsafeMutablePointer<Counts>

    init() throws(SystemError) {
      arrivals = try WakeUpDescriptor()
      unsafe counts = .allocate(capacity: Int(SignalDelivery.limit))
      for signal in 0..<Int(SignalDelivery.limit) { unsafe (counts + signal).initialize(to: Counts()) }
    }

    func note(_ isHandled: Bool, of signal: Int32) {
      withCounts(of: signal) { $0.isHandled.store(isHandled, ordering: .releasing) }
    }

    func withCounts<Result>(of signal: Int32, _ body: (borrowing Counts) -> Result) -> Result {
      // SAFETY: the kernel's numbers, and those that were looked at, are below the limit.
      unsafe body(counts[Int(signal)])
    }
  }

  /// What has come of a signal.
  private struct Counts: ~Copyable, Sendable {
    let all = Atomic<UInt64>(0)
    /// Those that came when nobody handled it but fallbacks.
    let unhandled = Atomic<UInt64>(0)
    /// Whether anybody else does.
    let isHandled = Atomic<Bool>(false)
  }

  private static let shared = Result { () throws(SystemError) in try SharedBox() }

  private final class SharedBox: Sendable {
    let value: Shared
    init() throws(SystemError) { value = try Shared() }
  }

  /// The loops' interest in signals, and what the process did with each before.
  @safe private struct Installed {
    var users = 0
    /// Those among them that are told only when nobody else is.
    var fallbacks = 0
    /// Whether the next one ends the process, as if nobody handled it.
    var isSuspended = false
    var previous = sigaction()

    var isHandled: Bool { users > fallbacks }
  }
  private static let installed = Locked<[Int32: Installed]>([:])

  /// A process that is forked off does on signals what this one did before, until a loop of its own handles them. (The
  /// descriptor of arrivals is its parent's, too: what rings there finds nothing to tell.)
  private static let forking: Void = {
    pthread_atfork(
      { SignalDelivery.installed.lockForFork() },
      { SignalDelivery.installed.unlockAfterFork() },
      {
        SignalDelivery.installed.unlockAfterFork { installed in
          for (signal, var entry) in installed { unsafe sigaction(signal, &entry.previous, nil) }
          installed = [:]
        }
      })
  }()

  /// The descriptor that has an arrival for each signal.
  static func arrivals() throws(SystemError) -> FileDescriptor {
    FileDescriptor(rawValue: try shared.get().value.arrivals.rawValue)
  }

  /// How many times a signal has come; for a fallback, without those times when somebody else handled it.
  static func count(of signal: Int32, isFallback: Bool) -> UInt64 {
    guard let shared = try? shared.get() else { return 0 }
    return shared.value.withCounts(of: signal) {
      isFallback ? $0.unhandled.load(ordering: .acquiring) : $0.all.load(ordering: .acquiring)
    }
  }

  /// Handles a signal, until as many calls of `remove`.
  static func add(_ signal: Int32, isFallback: Bool) throws(SystemError) {
    let shared = try shared.get()
    forking
    let errno: Errno? = installed.withLock { installed in
      var entry = installed[signal] ?? Installed()
      if entry.users == 0 || entry.isSuspended {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = handle
        action.sa_flags = SA_RESTART
        unsafe sigfillset(&action.sa_mask)
        var previous = sigaction()
        // SAFETY: both structures live for the length of the call.
        guard unsafe sigaction(signal, &action, &previous) == 0 else { return .last }
        if entry.users == 0 { entry.previous = previous }
        entry.isSuspended = false
      }
      entry.users += 1
      if isFallback { entry.fallbacks += 1 }
      installed[signal] = entry
      shared.value.note(entry.isHandled, of: signal)
      return nil
    }
    if let errno { throw SystemError(errno, in: "sigaction") }
  }

  /// Takes back one `add`; with the last one, the process does again what it did before the first.
  static func remove(_ signal: Int32, isFallback: Bool) {
    installed.withLock { installed in
      guard var entry = installed[signal] else { return }
      entry.users -= 1
      if isFallback { entry.fallbacks -= 1 }
      installed[signal] = entry
      if case .success(let shared) = shared { shared.value.note(entry.isHandled, of: signal) }
      guard entry.users == 0 else { return }
      unsafe sigaction(signal, &entry.previous, nil)
      installed[signal] = nil
    }
  }

  /// Whether a signal does what it does to any process.
  static func hasDefaultAction(_ signal: Int32) -> Bool {
    var action = sigaction()
    unsafe sigaction(signal, nil, &action)
    return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0
  }

  /// Gives a signal that only fallbacks handle its default action, so that the next one ends the process; until somebody
  /// handles it.
  static func suspend(_ signal: Int32) {
    installed.withLock { installed in
      guard let entry = installed[signal], !entry.isHandled else { return }
      var action = sigaction()
      unsafe action.__sigaction_handler.sa_handler = nil
      unsafe sigaction(signal, &action, nil)
      installed[signal]?.isSuspended = true
    }
  }

  /// The handler: async-signal-safe, since it loads pointers that were set before it was installed, adds to atomics,
  /// and writes to an eventfd; `errno` is left as it was.
  private static let handle: @convention(c) (Int32) -> Void = { signal in
    let errno = Glibc.errno
    if case .success(let box) = SignalDelivery.shared {
      box.value.withCounts(of: signal) { counts in
        if !counts.isHandled.load(ordering: .acquiring) { counts.unhandled.add(1, ordering: .releasing) }
        counts.all.add(1, ordering: .releasing)
      }
      box.value.arrivals.ring()
    }
    Glibc.errno = errno
  }
}
