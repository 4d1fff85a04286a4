//! Which message of the chain goes which way.

use chronolith_chain::consensus::message::Message;

use crate::network::Topic;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To everybody.
    Gossip(Topic),
    /// From neighbour to neighbour.
    Note,
}

/// How a message travels when it is for everybody.
pub(super) fn way(message: &Message) -> Way {
    match message {
        Message::Proposal(_)
        | Message::Block(_)
        | Message::Vote(_)
        | Message::Polka(_)
        | Message::Round(_) => Way::Gossip(Topic::Consensus),
        Message::Transactions(_) => Way::Gossip(Topic::Transactions),
        // These are about two nodes alone.
        Message::Status(_)
        | Message::GetProposal { .. }
        | Message::GetBlocks { .. }
        | Message::Blocks(_) => Way::Note,
    }
}

/// A message that came as gossip; none where it is no message, or none of its topic.
pub(super) fn from_gossip(topic: Topic, bytes: &[u8]) -> Option<Message> {
    Message::decode(bytes).ok().filter(|message| way(message) == Way::Gossip(topic))
}

/// A message that came as a note, which may be any; none where it is no message.
pub(super) fn from_note(bytes: &[u8]) -> Option<Message> {
    Message::decode(bytes).ok()
}
