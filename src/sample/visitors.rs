//! The shop's own sessions: carts in memory, under random ids that browsers keep in a cookie.

use std::collections::HashMap;
use std::fmt;

use data_encoding::HEXLOWER;
use parking_lot::Mutex;

use super::cart::Cart;

/// The maximum number of carts.
const CAPACITY: usize = 1000;

/// The id of a visitor, which gives access to the cart. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct VisitorId([u8; 16]);

impl VisitorId {
    /// Reads a cookie's value.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// The cookie's value.
    pub(crate) fn cookie_value(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok().map(|()| Self(bytes))
    }
}

impl fmt::Debug for VisitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VisitorId(…)")
    }
}

/// All visitors with a cart.
#[derive(Debug, Default)]
pub(super) struct Visitors(Mutex<CartTable>);

#[derive(Debug, Default)]
struct CartTable {
    carts: HashMap<VisitorId, StoredCart>,
    /// Counts every use, to find the least recently used cart.
    uses: u64,
}

#[derive(Debug, Default)]
struct StoredCart {
    cart: Cart,
    used: u64,
}

impl Visitors {
    /// Adds a visitor with an empty cart; in a full table it replaces the least recently used one. `None` if the system
    /// returns no random bytes.
    pub(crate) fn enter(&self) -> Option<VisitorId> {
        let id = VisitorId::random()?;
        let mut table = self.0.lock();
        if table.carts.len() >= CAPACITY {
            let oldest = table.carts.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id);
            oldest.and_then(|id| table.carts.remove(&id));
        }
        table.uses += 1;
        let kept = StoredCart { used: table.uses, ..StoredCart::default() };
        table.carts.insert(id, kept);
        Some(id)
    }

    /// Applies `change` to a visitor's cart and returns the cart; `None` for an unknown visitor.
    pub(crate) fn with_cart(&self, id: VisitorId, change: impl FnOnce(&mut Cart)) -> Option<Cart> {
        let mut table = self.0.lock();
        table.uses += 1;
        let uses = table.uses;
        let kept = table.carts.get_mut(&id)?;
        kept.used = uses;
        change(&mut kept.cart);
        Some(kept.cart)
    }

    /// Removes a visitor.
    pub(crate) fn leave(&self, id: VisitorId) {
        self.0.lock().carts.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(visitors: &Visitors, id: VisitorId) -> bool {
        visitors.with_cart(id, |_| ()).is_some()
    }

    #[test]
    fn a_cart_is_kept_until_its_visitor_leaves() {
        let visitors = Visitors::default();
        let (one, other) = (visitors.enter().unwrap(), visitors.enter().unwrap());
        visitors.with_cart(one, |cart| cart.add(1)).unwrap();
        assert_eq!(visitors.with_cart(one, |_| ()).unwrap().count(), 1);
        assert_eq!(visitors.with_cart(other, |_| ()).unwrap().count(), 0);
        visitors.leave(one);
        assert!(!is_known(&visitors, one) && is_known(&visitors, other));
    }

    #[test]
    fn a_full_shop_replaces_the_least_recently_used_cart() {
        let visitors = Visitors::default();
        let (first, second) = (visitors.enter().unwrap(), visitors.enter().unwrap());
        (2..CAPACITY).for_each(|_| _ = visitors.enter());
        assert!(is_known(&visitors, first));
        visitors.enter().unwrap();
        assert!(is_known(&visitors, first) && !is_known(&visitors, second));
        assert_eq!(visitors.0.lock().carts.len(), CAPACITY);
    }

    #[test]
    fn a_cookie_is_read_back_and_nothing_else_is() {
        let id = VisitorId::random().unwrap();
        assert_eq!(VisitorId::parse(&id.cookie_value()), Some(id));
        for text in ["", "00", "zz", &"0".repeat(33), &"A".repeat(32), &"0".repeat(64)] {
            assert_eq!(VisitorId::parse(text), None, "{text}");
        }
        assert_eq!(format!("{id:?}"), "VisitorId(…)");
    }
}
