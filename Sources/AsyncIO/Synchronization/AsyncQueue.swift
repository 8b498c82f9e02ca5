// SPDX-License-Identifier: Apache-2.0
//
// Work from some tasks for others.

/// A queue between tasks. asyncio's `Queue`, `LifoQueue` and `PriorityQueue`.
///
/// ```swift
/// let jobs = try AsyncQueue<Job>(capacity: 100)
/// let worker = loop.createTask {
///   for try await job in jobs {                  // until it is shut down, and empty
///     try await work(on: job)
///     try jobs.taskDone()
///   }
/// }
/// for job in all { try await jobs.put(job) }     // waits while there are 100
/// try await jobs.join()                          // until the last one is done
/// jobs.shutdown()
/// ```
///
/// Without a capacity it takes all that comes. Tasks that wait are served in the order in which they came: an item that
/// is put is that of the task that has waited longest, from that moment on, and so is a place that becomes free. The
/// items of one task come out in its order; those of several, in the order in which they were put.
///
/// An item is in the queue, or with the one whose ``put(_:timeout:)`` or ``get(timeout:)`` has returned: a cancel or a
/// limit loses none.
///
/// It belongs to the loop on which it is used first, and is not `Sendable`.
public final class AsyncQueue<Element> {
  /// What does not depend on the items: who waits, and for what.
  @usableFromInline let core: QueueCore
  @usableFromInline var items: QueueItems<Element>

  /// In which order items come out.
  public struct Order {
    @usableFromInline enum Kind {
      case fifo
      case lifo
      case priority((Element, Element) -> Bool)
    }
    @usableFromInline let kind: Kind

    /// The oldest first.
    public static var fifo: Self { Self(kind: .fifo) }

    /// The newest first: asyncio's `LifoQueue`.
    public static var lifo: Self { Self(kind: .lifo) }

    /// The smallest first: asyncio's `PriorityQueue`. Of equal ones the oldest.
    ///
    /// - Parameter areInIncreasingOrder: Whether the first comes out before the second. One that contradicts itself
    ///   makes some order, and loses nothing. It must not use the queue.
    public static func priority(by areInIncreasingOrder: @escaping (Element, Element) -> Bool) -> Self {
      Self(kind: .priority(areInIncreasingOrder))
    }
  }

  /// Makes a queue that takes all that comes.
  public init(order: Order = .fifo) {
    core = QueueCore(capacity: .max)
    items = QueueItems(order)
  }

  /// Makes a queue in which so many items wait at most.
  ///
  /// - Parameters:
  ///   - capacity: 1 or more. (In asyncio 0 means: without bound. That is `init(order:)`.)
  ///   - order: In which order items come out.
  /// - Throws: ``InvalidArgumentError`` for less.
  public init(capacity: Int, order: Order = .fifo) throws(InvalidArgumentError) {
    guard capacity > 0 else {
      throw InvalidArgumentError("AsyncQueue: the capacity is \(capacity); give 1 or more, or none for no bound")
    }
    core = QueueCore(capacity: capacity)
    items = QueueItems(order)
  }

  // MARK: Putting

  /// Puts an item in, and waits for a place while it is full.
  ///
  /// - Parameters:
  ///   - element: The item.
  ///   - timeout: How long to wait; `nil`: as long as it takes. Zero or less: until the next turn. It costs a timer, and
  ///     no task.
  /// - Cancellation: Throws `CancellationError`; the item is not in the queue. If it had just been given a place, the
  ///   next one gets it.
  /// - Throws: `CancellationError`; ``TimeoutError``; ``QueueError/shutDown``; ``WrongLoopError``;
  ///   ``NoRunningLoopError``. The item is not in the queue then.
  /// - Complexity: O(1); in a queue by priority O(log n).
  @inlinable
  public func put(_ element: Element, timeout: Duration? = nil) async throws {
    if try !core.claimPlace() { try await core.waitForPlace(timeout) }
    try core.redeemPlace()
    items.insert(element)
    core.didPut()
  }

  /// Puts an item in, if there is a place. asyncio's `put_nowait`.
  ///
  /// - Threading: The loop; a plain callback, too.
  /// - Throws: ``QueueError/full``, ``QueueError/shutDown``.
  @inlinable
  public func putNoWait(_ element: Element) throws(QueueError) {
    try core.requirePlace()
    items.insert(element)
    core.didPut()
  }

  // MARK: Getting

  /// Takes the next item out, and waits while there is none.
  ///
  /// - Parameter timeout: How long to wait; `nil`: as long as it takes. Zero or less: until the next turn. It costs a
  ///   timer, and no task.
  /// - Cancellation: Throws `CancellationError`; the items stay. If it had just been given one, the next task gets that.
  /// - Throws: `CancellationError`; ``TimeoutError``; ``QueueError/shutDown`` when the queue is shut down and empty;
  ///   ``WrongLoopError``; ``NoRunningLoopError``. Nothing is lost then.
  /// - Complexity: O(1); in a queue by priority O(log n).
  @inlinable
  public func get(timeout: Duration? = nil) async throws -> Element {
    if try !core.claimItem() { try await core.waitForItem(timeout) }
    try core.redeemItem()
    let element = items.removeNext()
    core.didGet()
    return element
  }

  /// Takes the next item out, if there is one. asyncio's `get_nowait`.
  ///
  /// - Threading: The loop; a plain callback, too.
  /// - Throws: ``QueueError/empty``; ``QueueError/shutDown`` when the queue is shut down and empty.
  @inlinable
  public func getNoWait() throws(QueueError) -> Element {
    try core.requireItem()
    let element = items.removeNext()
    core.didGet()
    return element
  }

  // MARK: The end

  /// Says that what was put once is done: as many times as items were got. For ``join(timeout:)``.
  ///
  /// - Throws: ``QueueError/nothingToBeDone`` when all that were put are done already.
  public func taskDone() throws(QueueError) { try core.taskDone() }

  /// Waits until all items that were put are done: see ``taskDone()``. When they are, returns without giving up the turn.
  ///
  /// - Parameter timeout: How long to wait; `nil`: as long as it takes. Zero or less: until the next turn.
  /// - Cancellation: Throws `CancellationError`; nothing else comes of it.
  /// - Throws: `CancellationError`; ``TimeoutError``; ``WrongLoopError``; ``NoRunningLoopError``.
  public func join(timeout: Duration? = nil) async throws { try await core.join(timeout) }

  /// Takes no more items. Those who wait for a place get ``QueueError/shutDown``; what is in the queue can still be got;
  /// who wants more gets ``QueueError/shutDown``, and an iteration ends.
  ///
  /// - Parameter immediately: Drops the items, too; they count as done.
  public func shutdown(immediately: Bool = false) {
    core.shutdown(immediately: immediately)
    guard immediately else { return }
    // They go at the end of this: what their deinit does finds the queue in order.
    let dropped = items.removeAll()
    withExtendedLifetime(dropped) {}
  }

  /// Whether ``shutdown(immediately:)`` was called.
  public var isShutDown: Bool { core.isShutDown }

  // MARK: The state

  /// How many items are there for the taking. One that a task was given, and has not taken yet, does not count.
  public var count: Int { core.available }

  /// Whether who comes now for an item has to wait.
  public var isEmpty: Bool { core.available == 0 }

  /// Whether who comes now with an item has to wait.
  public var isFull: Bool { core.isFull }

  /// How many items it holds at most; `nil`: as many as come.
  public var capacity: Int? { core.capacity == .max ? nil : core.capacity }

  /// How many items were put and are not done: see ``taskDone()``.
  public var unfinishedCount: Int { core.unfinished }
}

extension AsyncQueue.Order where Element: Comparable {
  /// The smallest first: asyncio's `PriorityQueue`. Of equal ones the oldest.
  public static var priority: Self { .priority(by: <) }
}

extension AsyncQueue: AsyncSequence {
  /// An iteration, which takes out what it gives. Several share the items.
  public struct Iterator: AsyncIteratorProtocol {
    private let queue: AsyncQueue

    fileprivate init(_ queue: AsyncQueue) {
      self.queue = queue
    }

    /// The next item, once there is one; `nil` when the queue is shut down and empty. See ``AsyncQueue/get(timeout:)``.
    public mutating func next() async throws -> Element? { try await next(isolation: #isolation) }

    /// The same, in the isolation of the caller.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Element? {
      do {
        return try await queue.get()
      } catch let error as QueueError where error == .shutDown {
        return nil
      }
    }
  }

  /// Begins an iteration.
  public func makeAsyncIterator() -> Iterator { Iterator(self) }
}

extension AsyncQueue: CustomStringConvertible {
  /// How many items there are and who waits, for logs; not the items.
  public var description: String { "AsyncQueue(\(core.description))" }
}
