mod accepted;
mod random;
mod rejected;
