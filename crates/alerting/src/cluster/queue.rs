//! Messages waiting to be gossiped, each a few times to members picked at random.

/// The most messages that wait.
const MAX_QUEUED: usize = 4096;

#[derive(Debug)]
struct Queued {
    /// The member it is about; a later message about it takes its place.
    about: Option<String>,
    message: Vec<u8>,
    sent: usize,
    id: u64,
}

/// Messages waiting to be gossiped.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Vec<Queued>,
    next_id: u64,
    dropped: u64,
}

impl Queue {
    /// Adds a message. One about a member replaces what was said of it before.
    pub fn add(&mut self, about: Option<&str>, message: Vec<u8>) {
        if about.is_some() {
            self.waiting.retain(|queued| queued.about.as_deref() != about);
        }
        if self.waiting.len() >= MAX_QUEUED {
            // What was told most often, and of that the oldest, is most likely known everywhere.
            let victim = self.waiting.iter().enumerate().max_by_key(|(_, queued)| {
                (queued.about.is_none(), queued.sent, std::cmp::Reverse(queued.id))
            });
            if let Some((at, _)) = victim {
                self.waiting.swap_remove(at);
                self.dropped += 1;
            }
        }
        self.next_id += 1;
        let about = about.map(str::to_owned);
        self.waiting.push(Queued { about, message, sent: 0, id: self.next_id });
    }

    /// Takes messages for one packet with room for `room` bytes, two more for each message: those about members
    /// first, then what was sent least. A message is dropped after `times` times.
    pub fn take(&mut self, room: usize, times: usize) -> Vec<Vec<u8>> {
        self.waiting
            .sort_by_key(|queued| (queued.about.is_none(), queued.sent, std::cmp::Reverse(queued.id)));
        let (mut left, mut taken) = (room, Vec::new());
        for queued in &mut self.waiting {
            let bytes = queued.message.len() + 2;
            if bytes <= left && taken.len() < 255 {
                left -= bytes;
                queued.sent += 1;
                taken.push(queued.message.clone());
            }
        }
        self.waiting.retain(|queued| queued.sent < times);
        taken
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many messages were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// How often a message is sent in a cluster of `members`, so that it reaches all of them almost surely: in a small
/// one, where luck does not even out, twice for each.
pub fn transmissions(multiplier: usize, members: usize) -> usize {
    const SMALL: usize = 16;
    (multiplier * ((members as f64 + 1.0).log10().ceil() as usize)).max(2 * members.min(SMALL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_sent_so_often_and_what_is_about_a_member_replaces_what_was() {
        let mut queue = Queue::default();
        queue.add(None, vec![1; 10]);
        queue.add(Some("a"), vec![2; 10]);
        queue.add(Some("a"), vec![3; 10]);
        assert_eq!(queue.take(24, 2), [vec![3; 10], vec![1; 10]]);
        queue.add(None, vec![4; 10]);
        assert_eq!(queue.take(12, 2), [vec![3; 10]], "members first");
        assert_eq!(queue.take(12, 2), [vec![4; 10]], "then what was sent least");
        assert_eq!(queue.take(24, 2), [vec![4; 10], vec![1; 10]]);
        assert!(queue.is_empty());
        assert_eq!((transmissions(3, 1), transmissions(3, 9), transmissions(20, 100)), (3, 18, 60));
    }

    #[test]
    fn it_is_bounded() {
        let mut queue = Queue::default();
        queue.add(Some("a"), vec![0]);
        (0..2 * MAX_QUEUED).for_each(|_| queue.add(None, vec![1]));
        assert_eq!((queue.len(), queue.dropped()), (MAX_QUEUED, MAX_QUEUED as u64 + 1));
        assert_eq!(queue.take(3, 1), [vec![0]], "what is about members stays");
    }
}
