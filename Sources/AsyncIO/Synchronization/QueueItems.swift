// SPDX-License-Identifier: Apache-2.0
//
// The items of a queue, in the order in which they come out.

public import DequeModule
import HeapModule

/// Items, of which the oldest, the newest or the smallest comes out next.
@usableFromInline
struct QueueItems<Element> {
  @usableFromInline var deque = Deque<Element>()
  /// Instead, where they come out by priority.
  @usableFromInline let ranking: Ranking<Element>?
  @usableFromInline let isLIFO: Bool

  init(_ order: AsyncQueue<Element>.Order) {
    switch order.kind {
    case .fifo:
      ranking = nil
      isLIFO = false
    case .lifo:
      ranking = nil
      isLIFO = true
    case .priority(let areInIncreasingOrder):
      ranking = Ranking(by: areInIncreasingOrder)
      isLIFO = false
    }
  }

  @inlinable
  mutating func insert(_ element: Element) {
    if let ranking { ranking.insert(element) } else { deque.append(element) }
  }

  /// Takes the next one out. There must be one.
  @inlinable
  mutating func removeNext() -> Element {
    if let ranking { return ranking.removeFirst() }
    return isLIFO ? deque.removeLast() : deque.removeFirst()
  }

  /// Removes all, and returns them, to be let go of.
  mutating func removeAll() -> [Element] {
    if let ranking { return ranking.removeAll() }
    defer { deque = Deque() }
    return Array(deque)
  }
}

/// Items by priority; of equal ones the oldest first.
@usableFromInline
final class Ranking<Element> {
  private struct Ranked: Comparable {
    let element: Element
    /// Which one it was, counted from the first.
    let number: UInt64
    let isBefore: (Element, Element) -> Bool

    static func < (a: Self, b: Self) -> Bool {
      let isBefore = a.isBefore
      if isBefore(a.element, b.element) { return true }
      return !isBefore(b.element, a.element) && a.number < b.number
    }

    static func == (a: Self, b: Self) -> Bool { a.number == b.number }
  }

  private let areInIncreasingOrder: (Element, Element) -> Bool
  private var heap = Heap<Ranked>()
  private var number: UInt64 = 0

  init(by areInIncreasingOrder: @escaping (Element, Element) -> Bool) {
    self.areInIncreasingOrder = areInIncreasingOrder
  }

  @usableFromInline
  func insert(_ element: Element) {
    number += 1
    heap.insert(Ranked(element: element, number: number, isBefore: areInIncreasingOrder))
  }

  @usableFromInline
  func removeFirst() -> Element { heap.removeMin().element }

  func removeAll() -> [Element] {
    defer { heap = Heap() }
    return heap.unordered.map(\.element)
  }
}
