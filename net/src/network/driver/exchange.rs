//! What one peer is told and asked, and what it tells and asks.

use std::io;
use std::sync::Arc;

use libp2p::request_response::{self, InboundFailure, Message, OutboundFailure, ResponseChannel};
use libp2p::{Multiaddr, PeerId};

use super::Driver;
use crate::network::behaviour::RESPONSE_BYTES;
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
    answer: Result<Vec<u8>, Unanswerable>,
}

impl Driver {
    /// Says something to a neighbour. What finds no room is lost, as everything may be.
    pub(super) fn note(&mut self, to: PeerId, bytes: Vec<u8>) {
        if self.swarm.is_connected(&to) && self.notes.push(to, bytes).is_ok() {
            self.send_notes(&to);
        }
    }

    /// Asks a peer once there is room on the way to it.
    pub(super) fn ask(&mut self, to: PeerId, question: Question) {
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

    fn send_questions(&mut self, peer: &PeerId) {
        while let Some(Question { addresses, bytes, answer }) = self.questions.pop(peer) {
            let requests = &mut self.swarm.behaviour_mut().requests;
            let framed = Framed::own(bytes);
            let id = requests.send_request_with_addresses(peer, framed, addresses);
            self.asked.insert(id, answer);
        }
    }

    pub(super) fn note_event(&mut self, event: request_response::Event<Framed, Framed>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request { request: Framed { bytes, permit }, channel, .. } => {
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
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request { request, channel, .. } => self.serve(peer, request, channel),
                Message::Response { request_id, response } => {
                    if let Some(answer) = self.asked.remove(&request_id) {
                        // Who asked may have given up.
                        drop(answer.send(Ok(response.bytes)));
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
    fn serve(&mut self, peer: PeerId, request: Framed, channel: ResponseChannel<Framed>) {
        if !self.is_within_quota(peer, request.bytes.len()) {
            return;
        }
        let Ok(place) = Arc::clone(&self.answering).try_acquire_owned() else { return };
        let (service, answered) = (Arc::clone(&self.service), self.answered.clone());
        tokio::task::spawn_blocking(move || {
            let answer = service.answer(peer, &request.bytes);
            drop((request, place));
            // An error says that the network was stopped.
            drop(answered.send(Answered { peer, channel, answer }));
        });
    }

    pub(super) fn answer(&mut self, Answered { peer, channel, answer }: Answered) {
        match answer {
            Ok(bytes) if bytes.len() <= RESPONSE_BYTES => {
                let requests = &mut self.swarm.behaviour_mut().requests;
                drop(requests.send_response(channel, Framed::own(bytes)));
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
