// SPDX-License-Identifier: Apache-2.0
//
// What was written and not sent yet, in order.

/// Bytes that wait until the kernel has room.
///
/// Small pieces are copied together; an array that is given away is held, and not copied.
///
/// Invariant: `count` is the sum of what the pieces from `first` on hold, less `sent`, the bytes of the first piece that
/// were sent. No piece is empty. Only the last one grows, and only if it is our own.
struct WriteQueue {
  private struct Piece {
    var bytes: [UInt8]
    var isOwn: Bool
  }

  /// The number of bytes that wait.
  private(set) var count = 0
  private var pieces: [Piece] = []
  private var first = 0
  private var sent = 0

  var isEmpty: Bool { count == 0 }

  /// A piece of our own grows up to this.
  private static let pieceSize = 65_536

  /// The most pieces that one call takes: `IOV_MAX`.
  static let mostPieces = 1_024

  /// Adds the bytes of an array, from an offset on, and holds the array.
  mutating func append(_ bytes: [UInt8], from offset: Int = 0) {
    let added = bytes.count - offset
    guard added > 0 else { return }
    if added < Self.pieceSize / 4 {
      // SAFETY: the bytes are the array's for the length of the call.
      return unsafe bytes.withUnsafeBytes { unsafe append(copying: UnsafeRawBufferPointer(rebasing: $0[offset...])) }
    }
    if isEmpty {
      removeAll()
      sent = offset
      pieces.append(Piece(bytes: bytes, isOwn: false))
    } else {
      pieces.append(Piece(bytes: offset == 0 ? bytes : [UInt8](bytes[offset...]), isOwn: false))
    }
    count += added
  }

  /// Adds bytes that the caller keeps.
  mutating func append(copying bytes: UnsafeRawBufferPointer) {
    guard unsafe !bytes.isEmpty else { return }
    if let last = pieces.indices.last, last >= first, pieces[last].isOwn,
      pieces[last].bytes.count + bytes.count <= Self.pieceSize
    {
      unsafe pieces[last].bytes.append(contentsOf: bytes)
    } else {
      pieces.append(Piece(bytes: unsafe [UInt8](bytes), isOwn: true))
    }
    count += bytes.count
  }

  /// Calls back with the bytes from the front, in at most so many pieces.
  func withPieces<Result, Failure: Error>(
    atMost most: Int = mostPieces,
    _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let pieces = pieces[first...].prefix(most)
    return try unsafe withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: pieces.count) {
      (buffers) throws(Failure) in
      for (place, piece) in pieces.enumerated() {
        // SAFETY: the elements of an array stand in an object of its own, which `pieces` holds, unchanged, until the
        // call has returned.
        let bytes = unsafe piece.bytes.withUnsafeBytes { unsafe $0 }
        let start = place == 0 ? sent : 0
        unsafe buffers.initializeElement(at: place, to: UnsafeRawBufferPointer(rebasing: bytes[start...]))
      }
      return try withExtendedLifetime(pieces) { () throws(Failure) in
        try unsafe body(UnsafeBufferPointer(buffers))
      }
    }
  }

  /// Lets go of bytes at the front that were sent.
  mutating func removeFirst(_ number: Int) {
    precondition(number >= 0 && number <= count, "WriteQueue: more was sent than there is")
    count -= number
    if count == 0 { return removeAll() }
    sent += number
    while sent >= pieces[first].bytes.count {
      sent -= pieces[first].bytes.count
      pieces[first].bytes = []
      first += 1
    }
    // So that the places of pieces that are gone are not kept, and moving them costs O(1) for each.
    if first >= 32 && first * 2 >= pieces.count {
      pieces.removeFirst(first)
      first = 0
    }
  }

  /// Lets go of all.
  mutating func removeAll() {
    pieces = []
    first = 0
    sent = 0
    count = 0
  }
}
