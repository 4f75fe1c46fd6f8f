// The parts that published methods are put together from, one file each.
#pragma once

#include "evaluation/methods/scored_tokens.h"

namespace tca::evaluation {

/// The same for every head: the share of the segment, to the nearest token.
TokenBudgets uniform_budgets(double share);

/// SnapKV (arXiv 2404.14469; kvpress: SnapKVPress): attention that a key gets from the last 32 queries, on average over
/// them and the group, max-pooled over 7 tokens. Behind a past: of the attention that the segment gets. The last 32
/// tokens stay.
TokenScores snapkv_scores();

/// PyramidKV (arXiv 2406.02069; kvpress: PyramidKVPress, FFY0/AdaKV): what a layer keeps beside the last 32 tokens
/// falls linearly from the first layer to the last, which keeps a twentieth of the mean, or what is left where the
/// first layer is full. Where kvpress falls back to SnapKV in short contexts, this does not. The mean over layers is
/// `share`.
TokenBudgets pyramidkv_budgets(double share);

/// AdaKV (arXiv 2407.11550; kvpress: AdaKVPress): a layer's tokens go to the highest scores of all its heads, after
/// every head's best fifth of the even share. The mean over heads is `share`. Also by other scores than SnapKV's.
TokenBudgets adakv_budgets(double share);

/// Expected Attention (arXiv 2510.00636; kvpress: ExpectedAttentionPress): attention that a key may expect from queries
/// at the next 512 positions, which are taken to be normal with mean and covariance of the segment's queries before
/// RoPE and turned by the mean rotation; on average over the group, plus 0.01, times the norm of the value. The first 4
/// tokens stay. Queries are turned back from where they stand, so that biases and norms of queries count, too.
TokenScores expected_attention_scores();

/// DuoAttention (arXiv 2410.10819; kvpress: DuoAttentionPress): streaming heads keep 128 sinks and the last 256 tokens,
/// a third of them sinks where `share` is less than that; retrieval heads keep everything. Heads are made whole from
/// the richest [num_layers * num_kv_heads] on until `share` is reached; the next one gets what is left as recent
/// tokens.
TokenScores duo_scores(double share);
TokenBudgets duo_budgets(double share, const std::vector<double>& richness);
/// In place of trained gates: what answers lose by a head that keeps its widest window alone, by a profile's curves;
/// without curves what its tail-risk budgets keep of the head, in sum. Throws kInvalidArgument where it has neither.
std::vector<double> head_richness(const Profile& profile);

}  // namespace tca::evaluation
