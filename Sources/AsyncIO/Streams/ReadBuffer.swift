// SPDX-License-Identifier: Apache-2.0
//
// What was received and not read yet: bytes in one piece, so that a separator or a record is found where it stands.

/// A reader's buffer, in a block that is lent by the loop while there is something in it.
///
/// It is empty and without memory at first. Bytes are added behind `tail`, and used up from `head` on. When a reader
/// waits with little in its buffer, it changes the block for one that just holds it.
///
/// Invariant: `0 <= head <= tail <= capacity`; when `head == tail` and nobody is about to add, there is no block.
@safe struct ReadBuffer: ~Copyable {
  private var block: Block?
  private var head = 0
  private var tail = 0

  /// As much as is kept in a block of its own while the reader waits.
  private static let little = 4_096

  /// The number of bytes that were received and not used up.
  var count: Int { tail - head }

  var isEmpty: Bool { head == tail }

  var capacity: Int {
    switch block {
    case .some(let block): block.capacity
    case .none: 0
    }
  }

  /// The bytes, which stand there until the next call that changes the buffer.
  ///
  /// No body that they are lent to, here and for ``room(from:)``: an access that lasts over a call is tracked by the
  /// runtime, which costs a read as much as all the rest of its work here.
  var bytes: UnsafeRawBufferPointer {
    switch block {
    // SAFETY: the bytes of `head ..< tail` were written.
    case .some(let block): unsafe UnsafeRawBufferPointer(rebasing: block.bytes[head..<tail])
    case .none: unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    }
  }

  /// Room for more bytes, at least a quarter of a block. ``received(_:to:)`` must follow, before anything else.
  mutating func room(from pool: BlockPool) -> UnsafeMutableRawBufferPointer {
    makeRoom(from: pool)
    switch block {
    // SAFETY: the block is ours until `received`, and what is behind `tail` may be written.
    case .some(let block): return unsafe UnsafeMutableRawBufferPointer(rebasing: block.bytes[tail...])
    case .none: preconditionFailure("ReadBuffer: no block")
    }
  }

  /// So many bytes were written into the room; with 0, nothing has changed.
  mutating func received(_ count: Int, to pool: BlockPool) {
    precondition(count >= 0 && count <= capacity - tail, "ReadBuffer: more was received than there is room")
    tail += count
    guard isEmpty, let block = block.take() else { return }
    keepOrGive(block, to: pool)
  }

  /// Uses up bytes from the front.
  mutating func removeFirst(_ count: Int, to pool: BlockPool) {
    precondition(count >= 0 && count <= self.count, "ReadBuffer: more is used up than there is")
    head += count
    guard isEmpty, let block = block.take() else { return }
    keepOrGive(block, to: pool)
  }

  /// Uses up bytes from the front, and copies them.
  mutating func takeFirst(_ count: Int, to pool: BlockPool) -> [UInt8] {
    // SAFETY: they are copied before anything changes.
    let bytes = unsafe [UInt8](self.bytes[..<count])
    removeFirst(count, to: pool)
    return bytes
  }

  /// The reader is going to wait: little is kept in little memory.
  mutating func shrink(to pool: BlockPool) {
    guard !isEmpty, count <= Self.little, capacity >= BlockPool.size else { return }
    move(to: Block(capacity: max(64, count)), pool)
  }

  private mutating func makeRoom(from pool: BlockPool) {
    if capacity < BlockPool.size {
      move(to: pool.take(), pool)
    } else if capacity - tail < capacity / 4 {
      if count <= capacity / 2 {
        moveToFront()
      } else {
        move(to: Block(capacity: 2 * capacity), pool)
      }
    }
  }

  private mutating func moveToFront() {
    guard let block = block.take() else { return }
    // SAFETY: both ranges are of the block, and the call may be given ranges that overlap.
    unsafe block.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: block.bytes[head..<tail]))
    tail = count
    head = 0
    self.block = consume block
  }

  private mutating func move(to larger: consuming Block, _ pool: BlockPool) {
    // SAFETY: the new block has room for the count.
    unsafe larger.bytes.copyMemory(from: bytes)
    tail = count
    head = 0
    if let old = block.take() { pool.give(old) }
    block = consume larger
  }

  private mutating func keepOrGive(_ block: consuming Block, to pool: BlockPool) {
    if isEmpty {
      head = 0
      tail = 0
      pool.give(block)
    } else {
      self.block = consume block
    }
  }
}
