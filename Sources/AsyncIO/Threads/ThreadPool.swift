// SPDX-License-Identifier: Apache-2.0
//
// Threads for functions that block.

/// A bounded number of threads that run functions which block: asyncio's `ThreadPoolExecutor`.
///
/// A loop has one of its own, which `runBlocking` uses. Make another one for work that must not wait for the rest, or
/// must not hold it up:
///
/// ```swift
/// let disk = ThreadPool(name: "disk", maximumThreads: 2)
/// let bytes = try await runBlocking(on: disk) { try FileDescriptor.open("/etc/hosts", .readOnly).read(…) }
/// await disk.shutdown()
/// ```
///
/// Work is begun in the order of its coming. A thread is started when there is work and none rests, up to the limit; one
/// that has rested for a while ends. Several loops may share a pool. One that is dropped does what it was given, and
/// ends.
///
/// - Threading: Any thread.
public final class ThreadPool: Sendable {
  let core: PoolCore

  /// Makes a pool; it has no threads yet.
  ///
  /// - Parameters:
  ///   - name: That of its threads, for debuggers; Linux keeps 15 bytes of it.
  ///   - maximumThreads: The bound. Less than 1 counts as 1.
  ///   - idleTime: After how long without work a thread ends.
  public init(
    name: String = "asyncio-worker", maximumThreads: Int = ThreadPool.usualMaximumThreads,
    idleTime: Duration = .seconds(10)
  ) {
    core = PoolCore(name: name, limit: maximumThreads, idleTime: idleTime)
  }

  /// A pool on a core of a test's.
  init(_ core: PoolCore) { self.core = core }

  /// The number of processors and 4, and at most 32.
  public static let usualMaximumThreads = ThreadLimits.usual

  /// How many threads it has now.
  public var threadCount: Int { core.counts.threads }

  /// How many pieces of work wait for a thread.
  public var queuedCount: Int { core.counts.queued }

  /// Takes no more work, and waits until what it has is done and its threads have ended.
  ///
  /// - Parameter grace: How long that may take; `nil`: as long as it does. What has not begun by then is cancelled, and
  ///   never runs; what runs goes on, and its result is dropped.
  /// - Returns: Whether all was done in time.
  /// - Cancellation: Not heard: the grace is the limit.
  @discardableResult
  public func shutdown(grace: Duration? = nil) async -> Bool {
    core.close()
    let end = FirstWord()
    var alarm: Task<Void, Never>?
    defer { alarm?.cancel() }
    // Checked: see `AnyFuture.waitUncancellably`.
    let isInTime = await withCheckedContinuation { continuation in
      end.keep(continuation)
      core.whenEnded { end.say(true) }
      guard let grace else { return }
      // Not by a timer of a loop: anybody may call this.
      alarm = Task {
        try? await Task.sleep(for: grace)
        end.say(false)
      }
    }
    for job in core.takeAll() { job.refuse() }
    return isInTime
  }

  deinit {
    if !core.isForked { core.close() }
  }
}

/// A continuation that the first of several resumes.
private final class FirstWord: Sendable {
  private let continuation = Locked<CheckedContinuation<Bool, Never>?>(nil)

  func keep(_ new: CheckedContinuation<Bool, Never>) { continuation.withLock { $0 = new } }

  func say(_ word: Bool) { continuation.withLock { $0.take() }?.resume(returning: word) }
}

/// Work was given to a pool that was shut down.
public struct ThreadPoolClosedError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The fact and the cure.
  public var description: String { "the thread pool is shut down; give it work before that, or make a new one" }

  package init() {}
}
