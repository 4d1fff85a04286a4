//! What one peer is told and asked, and what it tells and asks.

use std::io;
use std::sync::Arc;

use libp2p::request_response::{self, InboundFailure, Message, OutboundFailure, ResponseChannel};
use libp2p::{Multiaddr, PeerId};

use super::Driver;
use super::reach::Way;
use crate::network::behaviour::{RELAYED_BYTES, RESPONSE_BYTES};
use crate::network::codec::Framed;
use crate::network::error::RequestError;
use crate::network::handle::{NetworkEvent, RequestAnswer, Room, Unanswerable};
use crate::network::outbox::HasSize;
use crate::network::standing::Offence;

/// A question that waits for its turn.
pub(super) struct Question {
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) bytes: Vec<u8>,
    pub(super) answer: RequestAnswer,
}

impl HasSize for Question {
    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// An answer of the service, on its way back.
pub(super) struct Answered {
    peer: PeerId,
    channel: ResponseChannel<Framed>,
    /// The most bytes that the connection carries back.
    most: usize,
    answer: Result<Vec<u8>, Unanswerable>,
}

impl Driver {
    /// Says something to a neighbour. What finds no room is lost, as everything may be; so is what a
    /// relay would break off for.
    pub(super) fn note(&mut self, to: PeerId, bytes: Vec<u8>) {
        let is_relayed = matches!(self.way_to(&to), Way::Undecided | Way::Relayed);
        if is_relayed && bytes.len() > RELAYED_BYTES {
            return;
        }
        if self.swarm.is_connected(&to) && self.notes.push(to, bytes).is_ok() {
            self.send_notes(&to);
        }
    }

    /// Asks a peer once there is room on the way to it.
    pub(super) fn ask(&mut self, to: PeerId, question: Question) {
        question.addresses.iter().for_each(|address| self.named.ask(address));
        match self.questions.push(to, question) {
            Ok(()) => self.send_questions(&to),
            Err(question) => drop(question.answer.send(Err(RequestError::Broken {
                peer: to,
                reason: "too much waits for it already".to_owned(),
            }))),
        }
    }

    fn note_done(&mut self, peer: &PeerId) {
        self.notes.done(peer);
        self.send_notes(peer);
    }

    fn question_done(&mut self, peer: &PeerId) {
        self.questions.done(peer);
        self.send_questions(peer);
    }

    /// Sends the notes to a peer that can be on their way now.
    fn send_notes(&mut self, peer: &PeerId) {
        while let Some(bytes) = self.notes.pop(peer) {
            self.swarm.behaviour_mut().notes.send_request(peer, Framed::own(bytes));
        }
    }

    /// Sends the questions to a peer that can be on their way now. As long as a direct connection may
    /// yet take the place of one through a relay, they wait.
    pub(super) fn send_questions(&mut self, peer: &PeerId) {
        let most = match self.way_to(peer) {
            Way::Direct => usize::MAX,
            Way::Relayed => RELAYED_BYTES,
            Way::Undecided => return,
            Way::None => return self.call(peer),
        };
        while let Some(Question { bytes, answer, .. }) = self.questions.pop(peer) {
            if bytes.len() > most {
                self.questions.done(peer);
                drop(answer.send(Err(RequestError::Relayed { peer: *peer, most })));
                continue;
            }
            let id = self.swarm.behaviour_mut().requests.send_request(peer, Framed::own(bytes));
            self.asked.insert(id, answer);
        }
    }

    pub(super) fn note_event(&mut self, event: request_response::Event<Framed, Framed>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request { request: Framed { bytes, permit, .. }, channel, .. } => {
                    let empty = Framed::own(Vec::new());
                    // Who has gone needs no acknowledgement.
                    drop(self.swarm.behaviour_mut().notes.send_response(channel, empty));
                    if let Some(permit) = permit
                        && self.is_within_quota(peer, bytes.len())
                    {
                        self.tell(NetworkEvent::Note { from: peer, bytes, room: Room::of(permit) });
                    }
                }
                Message::Response { .. } => self.note_done(&peer),
            },
            request_response::Event::OutboundFailure { peer, .. } => self.note_done(&peer),
            request_response::Event::InboundFailure { peer, error, .. } => {
                self.inbound_failure(peer, &error);
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    pub(super) fn request_event(&mut self, event: request_response::Event<Framed, Framed>) {
        match event {
            request_response::Event::Message { peer, connection_id, message } => match message {
                Message::Request { request, channel, .. } => {
                    let most = match self.is_through_relay(&peer, &connection_id) {
                        true => RELAYED_BYTES,
                        false => RESPONSE_BYTES,
                    };
                    self.serve(peer, request, channel, most);
                }
                Message::Response { request_id, response } => {
                    let answered = match response.is_too_large {
                        true => Err(RequestError::Relayed { peer, most: RELAYED_BYTES }),
                        false => Ok(response.bytes),
                    };
                    if let Some(answer) = self.asked.remove(&request_id) {
                        // Who asked may have given up.
                        drop(answer.send(answered));
                    }
                    self.question_done(&peer);
                }
            },
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                let (offence, error) = failure(peer, &error);
                if let Some(answer) = self.asked.remove(&request_id) {
                    drop(answer.send(Err(error)));
                }
                if let Some(offence) = offence {
                    self.offend(peer, offence);
                }
                self.question_done(&peer);
            }
            request_response::Event::InboundFailure { peer, error, .. } => {
                self.inbound_failure(peer, &error);
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn inbound_failure(&mut self, peer: PeerId, error: &InboundFailure) {
        match error {
            InboundFailure::Io(error) if is_lie(error) => self.offend(peer, Offence::Lie),
            InboundFailure::Timeout => self.offend(peer, Offence::Silence),
            _ => {}
        }
    }

    /// Has a request answered on another thread. Without room for it, it is dropped, and who asked
    /// hears of that at once.
    fn serve(
        &mut self,
        peer: PeerId,
        request: Framed,
        channel: ResponseChannel<Framed>,
        most: usize,
    ) {
        if !self.is_within_quota(peer, request.bytes.len()) {
            return;
        }
        let Ok(place) = Arc::clone(&self.answering).try_acquire_owned() else { return };
        let (service, answered) = (Arc::clone(&self.service), self.answered.clone());
        tokio::task::spawn_blocking(move || {
            let answer = service.answer(peer, &request.bytes);
            drop((request, place));
            // An error says that the network was stopped.
            drop(answered.send(Answered { peer, channel, most, answer }));
        });
    }

    pub(super) fn answer(&mut self, Answered { peer, channel, most, answer }: Answered) {
        let requests = &mut self.swarm.behaviour_mut().requests;
        match answer {
            Ok(bytes) if bytes.len() <= most => {
                drop(requests.send_response(channel, Framed::own(bytes)));
            }
            Ok(bytes) if bytes.len() <= RESPONSE_BYTES => {
                drop(requests.send_response(channel, Framed::too_large()));
            }
            // Nothing that large could be read there.
            Ok(_) => {}
            Err(Unanswerable) => self.offend(peer, Offence::Lie),
        }
    }
}

/// Whether a stream failed because of what the other side sent.
fn is_lie(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// What a failed request is to whom asked, and whether the peer is to blame.
fn failure(peer: PeerId, error: &OutboundFailure) -> (Option<Offence>, RequestError) {
    let broken = |reason: String| RequestError::Broken { peer, reason };
    match error {
        OutboundFailure::DialFailure => (None, RequestError::Unreachable(peer)),
        OutboundFailure::Timeout => (Some(Offence::Silence), RequestError::TimedOut(peer)),
        OutboundFailure::UnsupportedProtocols => (None, RequestError::Unsupported(peer)),
        OutboundFailure::ConnectionClosed => (None, broken("the connection ended".to_owned())),
        OutboundFailure::Io(error) => {
            (is_lie(error).then_some(Offence::Lie), broken(error.to_string()))
        }
    }
}
