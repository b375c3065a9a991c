//! A cart: the number of each good.

use super::products::{COUNT, PRODUCTS, Product};

/// The maximum number of one good.
const MAX_COUNT: u8 = 99;

/// A cart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cart([u8; COUNT]);

impl Cart {
    /// Adds one of the good at this position of the list; no effect at 99.
    pub(crate) fn add(&mut self, position: usize) {
        if let Some(count) = self.0.get_mut(position) {
            *count = (*count + 1).min(MAX_COUNT);
        }
    }

    /// Removes a good.
    pub(crate) fn remove(&mut self, position: usize) {
        if let Some(count) = self.0.get_mut(position) {
            *count = 0;
        }
    }

    /// The goods in it, with their numbers.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'static Product, u32)> {
        PRODUCTS.iter().zip(self.0).filter(|(_, count)| *count > 0).map(|(good, count)| (good, u32::from(count)))
    }

    /// The number of things in it.
    pub(crate) fn count(&self) -> u32 {
        self.lines().map(|(_, count)| count).sum()
    }

    /// The total of the list prices, in cents.
    pub(crate) fn cents(&self) -> u32 {
        self.lines().map(|(good, count)| good.cents * count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_counts_up_to_a_limit() {
        let mut cart = Cart::default();
        cart.add(0);
        cart.add(5);
        cart.add(0);
        assert_eq!((cart.count(), cart.cents()), (3, 2 * 3900 + 1250));
        cart.remove(0);
        cart.remove(COUNT);
        cart.add(COUNT);
        assert_eq!((cart.count(), cart.cents()), (1, 1250));
        (0..200).for_each(|_| cart.add(5));
        assert_eq!(cart.count(), u32::from(MAX_COUNT));
    }
}
