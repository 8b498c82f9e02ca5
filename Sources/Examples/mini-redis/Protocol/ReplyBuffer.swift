// SPDX-License-Identifier: Apache-2.0
//
// What goes back to a client: one buffer, that all its replies are written into.

/// The replies that have not been sent, in RESP2.
///
/// Invariant: one that is overfull is empty for those who send.
final class ReplyBuffer {
  private var bytes: [UInt8] = []
  private let limit: Int
  /// Whether a request, however small, has asked for more than may be held at once. Its client is to be sent away: it waits
  /// for a reply that does not come.
  private(set) var isOverfull = false

  init(limit: Int = .max) { self.limit = limit }

  var count: Int { bytes.count }
  var isEmpty: Bool { bytes.isEmpty || isOverfull }

  /// Takes the replies, to send them.
  func take() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&bytes, &taken)
    return isOverfull ? [] : taken
  }

  /// Gives memory back that was taken, for the next replies; all that was in it has been sent.
  func recycle(_ sent: consuming [UInt8]) {
    // One that has grown beyond this is not kept: who says nothing more would hold it.
    guard bytes.isEmpty, sent.capacity <= Self.kept else { return }
    sent.removeAll(keepingCapacity: true)
    bytes = sent
  }

  private static let kept = 4 << 10

  // MARK: Replies

  func ok() { append("+OK\r\n") }

  /// A word of success.
  func status(_ word: String) {
    bytes.append(UInt8(ascii: "+"))
    bytes.append(contentsOf: word.utf8)
    append("\r\n")
  }

  /// Why a command was not carried out. What could end the line is replaced.
  func error(_ text: String) {
    bytes.append(UInt8(ascii: "-"))
    for byte in text.utf8 { bytes.append(byte == 10 || byte == 13 ? UInt8(ascii: " ") : byte) }
    append("\r\n")
  }

  func integer(_ number: Int) {
    bytes.append(addingCapacity: Self.line) { $0.appendLine(UInt8(ascii: ":"), number) }
  }

  /// Bytes, of whatever kind.
  func bulk(_ content: Span<UInt8>) {
    guard !isOverfull, bytes.count + content.count <= limit else {
      isOverfull = true
      return bytes = []
    }
    bytes.append(addingCapacity: content.count + Self.line + 2) { output in
      output.appendLine(UInt8(ascii: "$"), content.count)
      output.append(content)
      output.appendLineEnd()
    }
  }

  func bulk(_ content: ByteString) { content.withSpan { bulk($0) } }

  func bulk(_ content: String) { bulk(content.utf8.span) }

  func bulkOrNull(_ content: ByteString?) {
    if let content { bulk(content) } else { null() }
  }

  /// No bytes, in the place of some.
  func null() { append("$-1\r\n") }

  /// No array, in the place of one.
  func nullArray() { append("*-1\r\n") }

  /// The head of an array: the elements are the replies that follow.
  func array(_ count: Int) {
    bytes.append(addingCapacity: Self.line) { $0.appendLine(UInt8(ascii: "*"), count) }
  }

  /// A name and a text, one after the other, as in the map of a reply.
  func pair(_ name: ByteString, _ text: String) {
    bulk(name)
    bulk(text)
  }

  private func append(_ text: StaticString) {
    // SAFETY: a literal's bytes are there for ever.
    let source = unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    bytes.append(addingCapacity: source.count) { $0.append(unsafe source.span) }
  }

  /// The most bytes of a line with a number.
  private static let line = Digits.most + 3
}

extension OutputSpan<UInt8> {
  fileprivate mutating func appendLine(_ mark: UInt8, _ number: Int) {
    append(mark)
    if number >= 0 && number < 10 {
      append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number))
    } else {
      append(Digits(number).span)
    }
    appendLineEnd()
  }

  fileprivate mutating func appendLineEnd() {
    append(UInt8(ascii: "\r"))
    append(UInt8(ascii: "\n"))
  }

  fileprivate mutating func append(_ source: Span<UInt8>) {
    precondition(source.count <= freeCapacity, "ReplyBuffer: more was written than was made room for")
    // SAFETY: there is room, as was just made sure; the two are apart, since the source is lent and this one exclusive.
    unsafe withUnsafeMutableBufferPointer { buffer, initializedCount in
      unsafe source.withUnsafeBufferPointer { source in
        guard let start = source.baseAddress, let end = buffer.baseAddress else { return }
        unsafe (end + initializedCount).initialize(from: start, count: source.count)
      }
      initializedCount += source.count
    }
  }
}
