// SPDX-License-Identifier: Apache-2.0
//
// Who waits at a queue and what is theirs, apart from the items: so it is compiled once, for all types of items.

/// The counts of a queue, and those who wait.
///
/// Whoever is about to take an item claims one first, and so does who is about to put one claim a place; a task that is
/// woken has got the claim of the one who woke it. A claim is redeemed in the same breath in which the item goes in or
/// out, or else returned: so nothing is lost on the way, and nobody overtakes.
///
/// Invariant: `stored` items are in the queue, `claimedItems` of which are claimed (after a shutdown that dropped all,
/// claims may be left that come to nothing); `stored + claimedPlaces <= capacity`. Somebody waits for an item only while
/// all are claimed, for a place only while there is none, and in either case only before a shutdown.
@usableFromInline
final class QueueCore: LoopBound {
  var boundExecutor: LoopExecutor?
  let getters = WaitQueue()
  let putters = WaitQueue()
  let joiners = WaitQueue()
  /// `Int.max`: no bound.
  let capacity: Int
  private var stored = 0
  private var claimedItems = 0
  private var claimedPlaces = 0
  private(set) var unfinished = 0
  private(set) var isShutDown = false

  init(capacity: Int) {
    self.capacity = capacity
  }

  var available: Int { max(0, stored - claimedItems) }

  var isFull: Bool { stored + claimedPlaces >= capacity }

  // MARK: Places

  /// Claims a place, if there is one.
  @usableFromInline
  func claimPlace() throws -> Bool {
    try requireLoop()
    if isShutDown { throw QueueError.shutDown }
    if isFull { return false }
    claimedPlaces += 1
    return true
  }

  /// Waits for a place, and claims it.
  @usableFromInline
  func waitForPlace(_ timeout: Duration?) async throws {
    let executor = try requireLoop()
    // Asked again: the caller's module decides whether the turn was kept since.
    if try claimPlace() { return }
    let place = putters.enter()
    let verdict = try await putters.wait(in: place, on: executor, until: executor.deadline(after: timeout)) {
      claimedPlaces -= 1
      offerPlaces()
    }
    if verdict == .refused { throw QueueError.shutDown }
  }

  /// Redeems a claim: an item is put now.
  @usableFromInline
  func redeemPlace() throws {
    claimedPlaces -= 1
    if isShutDown { throw QueueError.shutDown }
  }

  /// For an item that is put now or never.
  @usableFromInline
  func requirePlace() throws(QueueError) {
    requireThread("AsyncQueue.putNoWait")
    if isShutDown { throw .shutDown }
    if isFull { throw .full }
  }

  /// An item was put.
  @usableFromInline
  func didPut() {
    stored += 1
    unfinished += 1
    offerItems()
  }

  private func offerPlaces() {
    while !isFull, putters.wakeFirst() != nil { claimedPlaces += 1 }
  }

  // MARK: Items

  /// Claims an item, if there is one.
  @usableFromInline
  func claimItem() throws -> Bool {
    try requireLoop()
    guard stored > claimedItems else {
      if isShutDown { throw QueueError.shutDown }
      return false
    }
    claimedItems += 1
    return true
  }

  /// Waits for an item, and claims it.
  @usableFromInline
  func waitForItem(_ timeout: Duration?) async throws {
    let executor = try requireLoop()
    // Asked again: the caller's module decides whether the turn was kept since.
    if try claimItem() { return }
    let place = getters.enter()
    let verdict = try await getters.wait(in: place, on: executor, until: executor.deadline(after: timeout)) {
      claimedItems -= 1
      offerItems()
    }
    if verdict == .refused { throw QueueError.shutDown }
  }

  /// Redeems a claim: an item is taken now.
  @usableFromInline
  func redeemItem() throws {
    claimedItems -= 1
    // All were dropped since.
    if stored == 0 { throw QueueError.shutDown }
  }

  /// For an item that is taken now or never.
  @usableFromInline
  func requireItem() throws(QueueError) {
    requireThread("AsyncQueue.getNoWait")
    if stored > claimedItems { return }
    throw isShutDown ? .shutDown : .empty
  }

  /// An item was taken.
  @usableFromInline
  func didGet() {
    stored -= 1
    offerPlaces()
  }

  private func offerItems() {
    while stored > claimedItems, getters.wakeFirst() != nil { claimedItems += 1 }
  }

  // MARK: The end

  func taskDone() throws(QueueError) {
    requireThread("AsyncQueue.taskDone")
    if unfinished == 0 { throw .nothingToBeDone }
    unfinished -= 1
    if unfinished == 0 { joiners.wakeAll() }
  }

  func join(_ timeout: Duration?) async throws {
    let executor = try requireLoop()
    if unfinished == 0 { return }
    let place = joiners.enter()
    _ = try await joiners.wait(in: place, on: executor, until: executor.deadline(after: timeout)) {}
  }

  /// The caller drops the items, where they are to be dropped.
  func shutdown(immediately: Bool) {
    requireThread("AsyncQueue.shutdown")
    isShutDown = true
    if immediately {
      // More may be done than were got, and then fewer are left than are dropped.
      unfinished = max(0, unfinished - stored)
      stored = 0
      if unfinished == 0 { joiners.wakeAll() }
    }
    putters.wakeAll(.refused)
    getters.wakeAll(.refused)
  }

  var description: String {
    var parts = [capacity == .max ? "\(available)" : "\(available) of \(capacity)"]
    if !getters.isEmpty { parts.append("\(getters.count) waiting to get") }
    if !putters.isEmpty { parts.append("\(putters.count) waiting to put") }
    if unfinished > 0 { parts.append("\(unfinished) unfinished") }
    if isShutDown { parts.append("shut down") }
    return parts.joined(separator: ", ")
  }
}
