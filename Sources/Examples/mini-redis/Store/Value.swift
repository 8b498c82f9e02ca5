// SPDX-License-Identifier: Apache-2.0
//
// What stands under a key.

import DequeModule

/// What stands under a key.
enum Value {
  case string(ByteString)
  case list(List)

  /// Its name in `TYPE`.
  var typeName: String {
    switch self {
    case .string: "string"
    case .list: "list"
    }
  }
}

/// A list, both ends of which are near. It is an object, so that a push is no copy, and never empty in the store.
final class List {
  var elements: Deque<ByteString> = []
}

/// The end of a list at which something happens.
enum ListEnd {
  case left, right
}

extension List {
  var count: Int { elements.count }

  func push(_ element: ByteString, at end: ListEnd) {
    switch end {
    case .left: elements.prepend(element)
    case .right: elements.append(element)
    }
  }

  func pop(at end: ListEnd) -> ByteString? {
    switch end {
    case .left: elements.popFirst()
    case .right: elements.popLast()
    }
  }
}
