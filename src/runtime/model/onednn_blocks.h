// Blocks of bf16 products by oneDNN: what it compiled for their shapes, and their weights in its order. Only where the
// build has oneDNN.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "runtime/model/block_product.h"
#include "runtime/model/buffer.h"
#include "runtime/model/pieces.h"

namespace tca::runtime {

class OneDnnBlocks {
 public:
  /// Before the pieces of a run are multiplied, for all of them.
  void compile(std::span<const Piece> pieces);

  /// One thread's.
  struct Scratch {
    Buffer onednn, weight, result;
  };
  /// The at-th of the pieces that were compiled.
  void multiply(const Piece& piece, std::size_t at, Scratch& scratch) const;

 private:
  const BlockProduct& block_product(const Piece& piece);

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  std::map<BlockShape, BlockProduct> compiled_;
  std::vector<const BlockProduct*> chosen_;  // null for pieces that others multiply
};

}  // namespace tca::runtime
