// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "rpcbench/rpc_server.h"

#include <algorithm>

#include <fmt/format.h>

namespace etran::wl {

std::string describe_mismatch(const Piece &piece) {
    const Pattern &pattern = Pattern::get();
    uint32_t position = Pattern::advance(body_start(piece.header), piece.offset);
    size_t at = pattern.first_difference(position, piece.data);
    if (at == piece.data.size())
        return "no difference";
    return fmt::format("byte {} of the body of {} {:#x} ({} B) is {:#04x}, expected {:#04x}",
                       piece.offset + at,
                       piece.header.type() == MessageType::kReply ? "reply" : "request",
                       piece.header.id, piece.header.length, static_cast<uint8_t>(piece.data[at]),
                       static_cast<uint8_t>(*pattern.at(Pattern::advance(position, at))));
}

void RpcServer::check(const Piece &piece) {
    uint32_t position = Pattern::advance(body_start(piece.header), piece.offset);
    if (Pattern::get().matches(position, piece.data)) [[likely]]
        return;
    counters_.mismatches++;
    if (first_mismatch_.empty())
        first_mismatch_ = describe_mismatch(piece);
}

void RpcServer::on_request(ReplyTo from, const Piece &piece) {
    if (verify_)
        check(piece);
    if (!piece.last)
        return;
    const MessageHeader &request = piece.header;
    counters_.requests++;
    counters_.rx_bytes += request.length;
    uint32_t length = std::max(request.reply_length(), kHeaderBytes);
    OutMessage reply;
    reply.header = MessageHeader::make(MessageType::kReply, length, 0, request.id, request.send_ns);
    reply.body = Pattern::get().body(body_start(reply.header), reply.header.body_length());
    counters_.tx_bytes += length;
    if (counters_.requests == flip_at_) [[unlikely]]
        reply = spoilt(reply);
    transport_.reply(from, reply);
}

uint64_t RpcServer::verified() const {
    return verify_ ? counters_.requests - std::min(counters_.requests, counters_.mismatches) : 0;
}

OutMessage RpcServer::spoilt(const OutMessage &reply) {
    for (const std::span<const std::byte> &part : reply.body.parts)
        spoilt_body_.insert(spoilt_body_.end(), part.begin(), part.end());
    OutMessage bad = reply;
    if (spoilt_body_.empty()) {
        bad.header.send_ns ^= 1; // a message without body: spoil the header
        return bad;
    }
    spoilt_body_.back() ^= std::byte{0x10};
    bad.body.parts = {std::span<const std::byte>(spoilt_body_), {}};
    return bad;
}

} // namespace etran::wl
