// SPDX-License-Identifier: Apache-2.0
//
// What libFuzzer calls: where a record ends does not depend on how its bytes arrive, and is where a plain search finds it.

/// libFuzzer calls it by this name, with each input: a step, a limit, separators with their lengths before them up to an
/// empty one, and the stream.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  var bytes = Array(UnsafeBufferPointer(start: start, count: count))[...]
  guard let step = bytes.popFirst(), let limit = bytes.popFirst() else { return 0 }
  var list: [[UInt8]] = []
  while let length = bytes.popFirst(), length % 8 != 0, list.count < 8 {
    list.append(Array(bytes.prefix(Int(length % 8))))
    bytes = bytes.dropFirst(Int(length % 8))
  }
  guard let separators = try? Separators(list) else { return 0 }
  let stream = Array(bytes)
  let expected = plainly(list, in: stream, limit: Int(limit) + 1)
  for step in [1, 1 + Int(step % 32), stream.count + 1] {
    let found = search(separators, in: stream, limit: Int(limit) + 1, by: step)
    precondition(found == expected, "by \(step): \(found), not \(expected)")
  }
  return 0
}

private func search(_ separators: Separators, in stream: [UInt8], limit: Int, by step: Int) -> SeparatorSearch.Step {
  var search = SeparatorSearch(for: separators, limit: limit)
  var end = 0
  while true {
    let found = stream[..<end].withUnsafeBytes { search.step($0) }
    if found != .missing || end == stream.count { return found }
    end = min(end + step, stream.count)
  }
}

/// One place after the other.
private func plainly(_ list: [[UInt8]], in stream: [UInt8], limit: Int) -> SeparatorSearch.Step {
  let longest = list.map(\.count).max() ?? 0
  for end in 0...stream.count {
    // Of those that end here, the longest begins first.
    let starts = list.filter { stream[..<end].suffix($0.count).elementsEqual($0) }.map { end - $0.count }
    if let start = starts.min() { return start > limit ? .overrun : .found(end) }
    if end - longest >= limit { return .overrun }
  }
  return .missing
}
